package runtimes

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// criEndpoint is where kubelets find containerd.
const criEndpoint = "unix:///run/containerd/containerd.sock"

// pauseImage is what every pod's sandbox runs.
const pauseImage = "weft.test/pause:1"

// pauseTar is that image as docker save writes one: it has busybox, which serves
// a page on port 8080 instead of doing nothing.
func (c *cell) pauseTar() (path string) {
	c.Helper()
	busybox, err := os.ReadFile(containerRoot + "/bin/busybox")
	if err != nil {
		c.Fatal(err)
	}
	layer := c.tar(map[string][]byte{"bin/busybox": busybox, "www/index.html": []byte("hello\n")})
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{"/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		c.Fatal(err)
	}
	manifest, err := json.Marshal([]any{map[string]any{"Config": "config.json", "RepoTags": []string{pauseImage}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		c.Fatal(err)
	}
	path = c.path("pause.tar")
	c.write(path, string(c.tar(map[string][]byte{"config.json": config, "layer.tar": layer, "manifest.json": manifest})))
	return path
}

func (c *cell) tar(files map[string][]byte) []byte {
	c.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, text := range files {
		err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))})
		if err == nil {
			_, err = w.Write(text)
		}
		if err != nil {
			c.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		c.Fatal(err)
	}
	return out.Bytes()
}

// cri starts containerd with its CRI plugin, as a kubelet would have it, with
// images that need no registry.
func (c *cell) cri() {
	c.Helper()
	c.write(c.path("containerd.toml"), `version = 2
root = "/run/containerd-root"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "`+pauseImage+`"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`)
	c.start("containerd", "--config", c.path("containerd.toml"))
	c.eventually("containerd answers", func() error { return c.try("ctr version") })
	c.must("ctr -n k8s.io images import --snapshotter native " + c.pauseTar())
	c.write("/etc/crictl.yaml", "runtime-endpoint: "+criEndpoint+"\nimage-endpoint: "+criEndpoint+"\n")
	c.Cleanup(func() {
		if err := c.try("for id in $(crictl pods -q); do crictl stopp $id; crictl rmp $id; done"); err != nil {
			c.Error(err)
		}
	})
}

// pod writes what a kubelet asks for: a pod of an app, which a policy can name.
func (c *cell) pod(name, app string, ports ...any) {
	c.Helper()
	text, err := json.MarshalIndent(map[string]any{
		"metadata":    map[string]any{"name": name, "namespace": "zoo", "uid": name},
		"annotations": map[string]any{"weft.example/app": app, "kubernetes.io/ingress-bandwidth": "10M"}, "port_mappings": ports,
	}, "", "  ")
	if err != nil {
		c.Fatal(err)
	}
	c.write("/run/"+name+".json", string(text)+"\n")
}

// TestCRI has pods come and go as a kubelet would: by containerd's CRI, which
// passes namespace and name, ports, limits and annotations. The sandbox's own
// process is what serves and asks.
func TestCRI(t *testing.T) {
	c := newCell(t)
	c.network("1.0.0", `{
    "type": "weft-cni",
    "identity": ["annotation.weft.example/app", "args.K8S_POD_NAMESPACE"],
    "capabilities": {"portMappings": true, "bandwidth": true, "io.kubernetes.cri.pod-annotations": true}
  }`)
	c.cri()
	c.pod("dogs-1", "dogs", map[string]any{"container_port": 8080, "host_port": 8000})
	c.pod("cats-1", "cats")
	before := c.belongings()
	s := c.transcript("cri")
	s.do("cat /etc/cni/net.d/10-weft.conflist")
	s.do("cat /run/dogs-1.json")
	s.do("crictl runp /run/dogs-1.json")
	s.do("crictl runp /run/cats-1.json")
	s.endpoints("cats", "dogs")
	const ask = `nsenter -n -t $(crictl inspectp -o go-template --template "{{.info.pid}}" $(crictl pods -q --name cats-1)) timeout 2 busybox wget -q -O - http://10.255.1.1:8080 || echo denied`
	s.sees(ask, "denied")
	s.do("weft allow-access cats dogs --protocol tcp --port 8080 --wait")
	s.sees(ask, "hello")
	s.has(s.outside("wget -q -O - http://192.0.2.1:8000"), "hello")
	s.has(c.sw.Vsctl("--bare", "--columns=other_config", "list", "QoS"), "max-rate=10000000")
	s.do("crictl stopp $(crictl pods -q)")
	s.do("crictl rmp $(crictl pods -q)")
	s.endpoints()
	s.end()
	c.leavesNothing(before)
}

// TestCRIOfNoApp: a pod without the annotation is of its namespace's name, by
// CNI_ARGS. Its DEL comes twice, the second time when there is no network
// namespace any longer.
func TestCRIOfNoApp(t *testing.T) {
	c := newCell(t)
	c.network("1.0.0", `{"type": "weft-cni", "identity": ["annotation.weft.example/none", "args.K8S_POD_NAMESPACE"], "capabilities": {"io.kubernetes.cri.pod-annotations": true}}`)
	c.cri()
	calls := c.witness()
	before := c.belongings()
	c.pod("cats-1", "cats")
	id := strings.TrimSpace(c.must("crictl runp /run/cats-1.json"))
	c.eventually("it is the namespace's", func() error { return c.try("weft endpoints | grep -q ' zoo '") })
	c.must("crictl stopp " + id + "; crictl rmp " + id)
	if got, want := calls(), fmt.Sprintf("ADD %[1]s set\nDEL %[1]s set\nDEL %[1]s \n", id); got != want {
		t.Errorf("containerd called\n%s, expected\n%s", got, want)
	}
	c.leavesNothing(before)
}
