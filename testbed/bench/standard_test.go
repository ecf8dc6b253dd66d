package bench

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/containernetworking/cni/libcni"

	"github.com/weft-sdn/weft/testbed/solo"
)

// standard are CNI's own plugins bridge and host-local, of the version in go.mod,
// as a host without a network to speak of would have them: no masquerading, no
// firewall.
type standard struct {
	list    *libcni.NetworkConfigList
	runtime *libcni.CNIConfig
}

func newStandard(b *testing.B) standard {
	b.Helper()
	dir := b.TempDir()
	for _, pkg := range []string{"main/bridge", "ipam/host-local"} {
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir, "github.com/containernetworking/plugins/plugins/"+pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	text, err := json.Marshal(map[string]any{"cniVersion": "1.0.0", "name": "standard", "plugins": []any{map[string]any{
		"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": map[string]any{
			"type": "host-local", "subnet": "10.22.0.0/16", "dataDir": filepath.Join(dir, "addresses"),
			"routes": []any{map[string]any{"dst": "0.0.0.0/0"}},
		},
	}}})
	if err != nil {
		b.Fatal(err)
	}
	list, err := libcni.ConfListFromBytes(text)
	if err != nil {
		b.Fatal(err)
	}
	return standard{list, libcni.NewCNIConfigWithCacheDir([]string{dir}, filepath.Join(dir, "cache"), nil)}
}

func (s standard) add(x *solo.Container) error {
	_, err := s.runtime.AddNetworkList(context.Background(), s.list, s.conf(x))
	return err
}

func (s standard) del(x *solo.Container) error {
	return s.runtime.DelNetworkList(context.Background(), s.list, s.conf(x))
}

func (s standard) conf(x *solo.Container) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: x.ID, NetNS: x.NS.Path(), IfName: "eth0"}
}
