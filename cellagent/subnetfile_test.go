package cellagent

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestSubnetFileIsWhatThePluginReads: the plugin's tests read the same files.
func TestSubnetFileIsWhatThePluginReads(t *testing.T) {
	taking := subnetFile{Cell: "cell-1", Subnet: "10.255.1.0/24", MTU: 1450, RestMS: 60000, Socket: "/run/weft/agent.sock"}
	refusing := taking
	refusing.Refuse, refusing.Limited = "switch: it does not answer", true
	for i, all := 0, reflect.ValueOf(refusing); i < all.NumField(); i++ {
		if all.Field(i).IsZero() {
			t.Errorf("%s is in neither file", all.Type().Field(i).Name)
		}
	}
	for name, content := range map[string]subnetFile{"subnet.json": taking, "subnet-refusing.json": refusing} {
		path := filepath.Join(t.TempDir(), name)
		if err := writeSubnetFile(path, content); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("../cni/testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("the agent writes\n%sand weft-cni's tests read %s\n%s", got, name, want)
		}
	}
}
