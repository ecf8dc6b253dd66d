package cellagent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/settings"
)

// FuzzConfig: an agent's configuration file is either refused with a text that
// says why, or gives values that are valid.
func FuzzConfig(f *testing.F) {
	const whole = "cell: cell-1\nunderlay_ip: 192.0.2.11\ncontroller: https://controller.example:4003\ntls: {cert_file: /a, key_file: /b, ca_file: /c}\n"
	for _, seed := range []string{
		"", "null", "[]", "tls: x", "cell: [a]", "bridge: &a [*a]", "? [a]\n: b", "underlay_ip: ::1", "controller: http://x", "\xff", "--- 1\n--- 2", "cell: cell-2", strings.Repeat("a: {", 5000),
	} {
		f.Add([]byte(seed))
		f.Add([]byte(whole + seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "weft-agent.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		config := cellagent.DefaultConfig()
		_, err := settings.Load(settings.Sources{File: path}, &config)
		if err == nil {
			if err := config.Validate(); err != nil {
				t.Fatalf("accepted %q, and then: %v", text, err)
			}
			return
		}
		if said := err.Error(); said == "" || len(said) > 64<<10+4*len(text) {
			t.Fatalf("%d bytes are refused with %d bytes", len(text), len(said))
		}
	})
}
