package pki

import (
	"crypto/x509"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

func request(dir string, cells string) Request {
	list, err := ParseCells(cells)
	if err != nil {
		panic(err)
	}
	return Request{Dir: dir, Cells: list, ControllerNames: []string{"weft.example", "127.0.0.1"}, Now: time.Now()}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[f.Name()] = string(text)
	}
	return found
}

// TestInit: everything an installation needs, keys readable by their owner only.
func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if _, err := Init(request(dir, "cell-1,cell-2=192.0.2.2")); err != nil {
		t.Fatal(err)
	}
	got := contents(t, dir)
	for _, name := range []string{
		"ca.crt", "ca.key", "controller.crt", "controller.key", "weft-controller.yaml",
		"cell-1.crt", "cell-1.key", "weft-agent-cell-1.yaml", "cell-2.crt", "cell-2.key", "weft-agent-cell-2.yaml",
	} {
		if got[name] == "" {
			t.Errorf("no %s", name)
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if want := fs.FileMode(0o600); strings.HasSuffix(name, ".key") && (err != nil || info.Mode() != want) {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
	if len(got) != 11 {
		t.Errorf("%d files, want 11", len(got))
	}
	for _, want := range []string{"cell: \"cell-2\"\n", "underlay_ip: 192.0.2.2\n", "controller: https://weft.example:4003\n", "cert_file: \"" + dir + "/cell-2.crt\"\n"} {
		if !strings.Contains(got["weft-agent-cell-2.yaml"], want) {
			t.Errorf("no %q in:\n%s", want, got["weft-agent-cell-2.yaml"])
		}
	}
}

// TestClients: a client that is no cell has a certificate that no cell can have.
func TestClients(t *testing.T) {
	dir := t.TempDir()
	req := request(dir, "")
	req.Clients = []string{"vxlan-policy-agent", "Other.1"}
	if _, err := Init(req); err != nil {
		t.Fatal(err)
	}
	files := contents(t, dir)
	for _, client := range req.Clients {
		cert, err := parseCertificate([]byte(files[ClientCert(client)]))
		if err != nil || files[ClientKey(client)] == "" {
			t.Fatalf("%s: %v", client, err)
		}
		if name := cert.Subject.CommonName; name != client+".client" || api.CheckCell(flows.CellID(name)) == nil {
			t.Errorf("%s: its common name %q can be a cell's", client, name)
		}
	}
	for _, bad := range []string{"", ".x", "../x", "a b", strings.Repeat("x", 57)} {
		req.Clients = []string{bad}
		if _, err := Init(req); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("client %q: want", bad)) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestCertificates: a cell's proves who it is to the controller, and only that;
// the controller's is good for its names, and only those.
func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	if _, err := Init(request(dir, "cell-1")); err != nil {
		t.Fatal(err)
	}
	files := contents(t, dir)
	parse := func(name string) *x509.Certificate {
		cert, err := parseCertificate([]byte(files[name]))
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	roots := x509.NewCertPool()
	roots.AddCert(parse("ca.crt"))
	server, client := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	for _, c := range []struct {
		file, name string
		use        x509.ExtKeyUsage
		good       bool
	}{
		{"controller.crt", "weft.example", server, true},
		{"controller.crt", "127.0.0.1", server, true},
		{"controller.crt", "other.example", server, false},
		{"controller.crt", "", client, false},
		{"cell-1.crt", "", client, true},
		{"cell-1.crt", "", server, false},
	} {
		_, err := parse(c.file).Verify(x509.VerifyOptions{Roots: roots, DNSName: c.name, KeyUsages: []x509.ExtKeyUsage{c.use}})
		if (err == nil) != c.good {
			t.Errorf("%s for %q, use %v: %v", c.file, c.name, c.use, err)
		}
	}
	if cn := parse("cell-1.crt").Subject.CommonName; cn != "cell-1" {
		t.Errorf("common name %q", cn)
	}
}

// TestInitAgain adds what is missing and changes nothing that is there, not
// even what an operator has edited.
func TestInitAgain(t *testing.T) {
	dir := t.TempDir()
	if _, err := Init(request(dir, "cell-1")); err != nil {
		t.Fatal(err)
	}
	edited := filepath.Join(dir, ControllerFile)
	if err := os.WriteFile(edited, []byte("listen: mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	list, err := Init(request(dir, "cell-1,cell-2"))
	if err != nil {
		t.Fatal(err)
	}
	after := contents(t, dir)
	for name, text := range before {
		if after[name] != text {
			t.Errorf("%s has changed", name)
		}
	}
	if len(after) != len(before)+3 {
		t.Errorf("%d files more, want 3", len(after)-len(before))
	}
	for _, f := range list {
		if f.Made != strings.Contains(f.Path, "cell-2") {
			t.Errorf("%s: made %v", f.Path, f.Made)
		}
	}
}

// TestInitSaysWhatItKept: what was asked for and a file that was there says
// otherwise is told, and what is still to be set, each time.
func TestInitSaysWhatItKept(t *testing.T) {
	dir := t.TempDir()
	again := func(cells string, names ...string) string {
		t.Helper()
		r := request(dir, cells)
		r.ControllerNames = names
		list, err := Init(r)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, f := range list {
			for _, text := range append(f.Differs, f.Unset...) {
				said = append(said, filepath.Base(f.Path)+": "+text)
			}
		}
		return strings.Join(said, "\n")
	}
	for _, c := range []struct {
		cells string
		names []string
		want  []string
	}{
		{"cell-1", nil, []string{"weft-agent-cell-1.yaml: underlay_ip", "weft-agent-cell-1.yaml: controller to where"}},
		{"cell-1", nil, []string{"weft-agent-cell-1.yaml: underlay_ip", "weft-agent-cell-1.yaml: controller to where"}},
		{"cell-1=192.0.2.1", []string{"weft.example"}, []string{
			"controller.crt: the certificate is for localhost, 127.0.0.1, not for weft.example: move it and its key away",
			"weft-agent-cell-1.yaml: underlay_ip is 0.0.0.0, not 192.0.2.1: edit it",
			"weft-agent-cell-1.yaml: controller is https://localhost:4003, not at weft.example: edit it",
			"weft-agent-cell-1.yaml: underlay_ip", "weft-agent-cell-1.yaml: controller to where",
		}},
	} {
		got := strings.Split(again(c.cells, c.names...), "\n")
		if len(got) != len(c.want) {
			t.Fatalf("%s %v: said %q", c.cells, c.names, got)
		}
		for i, want := range c.want {
			if !strings.HasPrefix(got[i], want) {
				t.Errorf("%s %v: said %q, want %q", c.cells, c.names, got[i], want)
			}
		}
	}
}

// TestCellsAddedLater find the controller by the names that its certificate has.
func TestCellsAddedLater(t *testing.T) {
	dir := t.TempDir()
	if _, err := Init(request(dir, "cell-1=192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	later := request(dir, "cell-2=192.0.2.2")
	later.ControllerNames = nil
	list, err := Init(later)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if len(f.Differs)+len(f.Unset) != 0 {
			t.Errorf("%+v", f)
		}
	}
	if text := contents(t, dir)["weft-agent-cell-2.yaml"]; !strings.Contains(text, "\ncontroller: https://weft.example:4003\n") {
		t.Errorf("cell-2's file:\n%s", text)
	}
}

// TestInitAfterACrash: a key without its certificate is made again.
func TestInitAfterACrash(t *testing.T) {
	dir := t.TempDir()
	if _, err := Init(request(dir, "cell-1")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "cell-1.crt")); err != nil {
		t.Fatal(err)
	}
	if list, err := Init(request(dir, "cell-1")); err != nil || !list[3].Made {
		t.Errorf("files %v, %v", list, err)
	}
}

// TestInitRefuses: what cannot be is refused before anything is made.
func TestInitRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Request)
		want   string
	}{
		"cell id":       {func(r *Request) { r.Cells = []Cell{{ID: "../x"}} }, `cell id "../x"`},
		"other's files": {func(r *Request) { r.Cells = []Cell{{ID: "controller"}} }, "its files would overwrite others"},
		"IPv6 underlay": {func(r *Request) { r.Cells = []Cell{{ID: "a", Underlay: netip.MustParseAddr("::1")}} }, "must be IPv4"},
		"a VTEP twice": {func(r *Request) { r.Cells, _ = ParseCells("cell-1=192.0.2.1,cell-2=192.0.2.1") },
			"cell cell-2: underlay address 192.0.2.1: cell cell-1 has it"},
		"name with space": {func(r *Request) { r.ControllerNames = []string{"a b"} }, `controller name "a b"`},
	} {
		dir := filepath.Join(t.TempDir(), "new")
		r := request(dir, "cell-1")
		c.change(&r)
		if _, err := Init(r); !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: left a folder behind", name)
		}
	}
}

// TestAuthorityFaults: an authority that cannot sign is an error, never replaced.
func TestAuthorityFaults(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(dir string) error
		later  time.Duration
		want   string
	}{
		"key lost": {func(dir string) error { return os.Remove(filepath.Join(dir, "ca.key")) }, 0, "without it no cell can be added"},
		"key of others": {func(dir string) error {
			return os.Rename(filepath.Join(dir, "cell-1.key"), filepath.Join(dir, "ca.key"))
		}, 0, "does not belong to"},
		"lost":    {func(dir string) error { return os.Remove(filepath.Join(dir, "ca.crt")) }, 0, "ca.crt is missing, but what it signed is there"},
		"not PEM": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "ca.crt"), []byte("x"), 0o644) }, 0, "holds no PEM certificate"},
		"expired": {func(string) error { return nil }, 11 * 365 * 24 * time.Hour, "expired on"},
	} {
		dir := t.TempDir()
		if _, err := Init(request(dir, "cell-1")); err != nil {
			t.Fatal(err)
		}
		if err := c.damage(dir); err != nil {
			t.Fatal(err)
		}
		r := request(dir, "cell-2")
		r.Now = r.Now.Add(c.later)
		if _, err := Init(r); !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestKeysGoIntoNewFiles: what somebody put where a key is written first, be it
// readable for all or a link to elsewhere, does not get the key.
func TestKeysGoIntoNewFiles(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(filepath.Join(dir, "ca.key.new"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(dir, "controller.key.new")); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(request(dir, "cell-1")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.key", "controller.key"} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if _, err := os.Stat(elsewhere); err == nil {
		t.Error("the controller's key is elsewhere")
	}
}
