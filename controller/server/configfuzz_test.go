package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/settings"
)

// FuzzConfig: a configuration file is either refused with a text that says
// why, or gives values that the controller can start with.
func FuzzConfig(f *testing.F) {
	dir, _ := install(f)
	own, err := os.ReadFile(filepath.Join(dir, "weft-controller.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	for _, seed := range []string{
		"", "null", "[]", "listen: {}", "listen: [a]\nlisten: b", "a: &a [*a]", "? [a]\n: b", "auth:\n  uaa: {client_secret: !!binary aGk=}", "vni: 1e1", "network: [10.255.0.0/16, 10.255.0.0/16, 0.0.0.0/0]",
		"lease_expiry: 9999999999h", "cleanup_interval: -1s", "tag_length: 0x2", "allowed_cors_domains: ['*', null]", "\xff\xfe", "--- 1\n--- 2", "database: mysql://u:p@h", "auth: {mode: uaa}", strings.Repeat("a: {", 5000),
		"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nnetwork: [*c,*c,*c,*c,*c,*c,*c,*c]",
	} {
		f.Add([]byte(seed))
		f.Add(append([]byte(seed+"\n"), own...))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "weft-controller.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		config := server.Default()
		_, err := settings.Load(settings.Sources{File: path}, &config)
		if err == nil {
			if _, err := config.Overlay(); err != nil {
				t.Fatalf("accepted %q, and then: %v", text, err)
			}
			return
		}
		if said := err.Error(); said == "" || len(said) > 64<<10+4*len(text) {
			t.Fatalf("%d bytes are refused with %d bytes", len(text), len(said))
		}
	})
}
