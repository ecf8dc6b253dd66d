package cni

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
)

// TestSubnetFileIsWhatTheAgentWrites: the agent's tests compare with the same
// files.
func TestSubnetFileIsWhatTheAgentWrites(t *testing.T) {
	lease, err := ReadLease("testdata/subnet.json")
	want := Lease{Cell: "cell-1", Subnet: netip.MustParsePrefix("10.255.1.0/24"), MTU: 1450, Rest: time.Minute, Socket: "/run/weft/agent.sock"}
	if err != nil || lease != want {
		t.Errorf("the lease is %+v, %v, expected %+v", lease, err, want)
	}
	_, err = ReadLease("testdata/subnet-refusing.json")
	var said *types.Error
	if !errors.As(err, &said) || said.Code != types.ErrLimitedConnectivity || !strings.HasSuffix(said.Msg, "switch: it does not answer") {
		t.Errorf("a cell that refuses: %#v", err)
	}
}

// TestSubnetFileHasNoOtherKeys than those that the plugin knows, and all of them.
func TestSubnetFileHasNoOtherKeys(t *testing.T) {
	text, err := os.ReadFile("testdata/subnet-refusing.json")
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	var written, known []string
	for key := range keys {
		written = append(written, key)
	}
	for file, i := reflect.TypeFor[subnetFile](), 0; i < file.NumField(); i++ {
		known = append(known, file.Field(i).Tag.Get("json"))
	}
	slices.Sort(written)
	slices.Sort(known)
	if !slices.Equal(written, known) {
		t.Errorf("the file has the keys %q, and the plugin knows %q", written, known)
	}
}
