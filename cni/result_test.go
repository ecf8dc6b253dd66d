package cni

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
)

// chained is the configuration of a plugin that comes after others.
func chained(version, before string) []byte {
	return []byte(`{"cniVersion":"` + version + `","name":"weft","prevResult":` + before + `}`)
}

// TestNullInPrevResult: each list of it, in each version, and in any spelling.
func TestNullInPrevResult(t *testing.T) {
	for _, version := range Versions.SupportedVersions() {
		for before, want := range map[string]string{
			`{"interfaces":[null]}`:                                   `prevResult.interfaces[0] null: must be a JSON object`,
			`{"ips":[{"address":"192.0.2.9/24","version":"4"},null]}`: `prevResult.ips[1] null: must be a JSON object`,
			`{"IPs":[null]}`:                                          `prevResult.IPs[0] null: must be a JSON object`,
			`{"routes":[null]}`:                                       `prevResult.routes[0] null: must be a JSON object`,
		} {
			_, err := returned(chained(version, before))
			var coded *types.Error
			if !errors.As(err, &coded) || coded.Code != types.ErrDecodingFailure || !strings.Contains(coded.Msg, want) {
				t.Errorf("%s %s: %#v, expected code 6 and %s", version, before, err, want)
			}
		}
	}
}

// returned is what ADD does with prevResult, and CHECK.
func returned(stdin []byte) (text string, err error) {
	conf, err := ParseConfig(stdin)
	if err != nil {
		return "", err
	}
	ip := netip.MustParseAddr("10.255.1.5")
	checked, err := ParseConfig(stdin)
	if err != nil {
		return "", err
	}
	_ = inResult(checked, ip) // that ours is not there
	before, err := previous(&conf)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = printResult(&out, conf, join(before, result(conf, Attachment{IfName: "eth0", HostName: "c1", IP: ip})))
	return out.String(), err
}

// FuzzPrevResult: what a chain of plugins may hand over is refused or returned,
// with ours, as JSON.
func FuzzPrevResult(f *testing.F) {
	for _, before := range []string{
		`null`, `{}`, `[]`, `{"interfaces":null,"ips":null,"routes":null,"dns":null}`,
		`{"interfaces":[null],"ips":[null],"routes":[null]}`, `{"ips":[{}]}`, `{"ips":[{"address":null,"interface":null,"gateway":null}]}`,
		`{"cniVersion":"1.0.0","interfaces":[{"name":"lo","sandbox":"/x","mac":"z"}],"ips":[{"version":"4","address":"192.0.2.9/24","interface":77}]}`,
		`{"routes":[{"dst":"0.0.0.0/0","gw":"fd00::1","mtu":1,"table":5,"scope":null}],"dns":{"nameservers":[null]}}`,
	} {
		for version := range Versions.SupportedVersions() {
			f.Add(version, before)
		}
	}
	f.Fuzz(func(t *testing.T, version int, before string) {
		all := Versions.SupportedVersions()
		text, err := returned(chained(all[uint(version)%uint(len(all))], before))
		if err == nil && !json.Valid([]byte(text)) {
			t.Errorf("%s becomes %s", before, text)
		}
	})
}
