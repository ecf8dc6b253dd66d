package main

import (
	"strings"
	"testing"
)

// FuzzPolicyFile: a policy file is either refused with a text that names it,
// or gives policies that have all that a policy must.
func FuzzPolicyFile(f *testing.F) {
	for _, seed := range []string{
		"", "null", "[]", "set: web", "set: web\npolicies: []", "policies: [{source: a, destination: b, protocol: tcp, ports: 80}]",
		"set: web\npolicies:\n- {source: a, destination: b, protocol: udp, ports: 53-54, name: n, description: d, labels: {k: v}}\n- {source: a}\n",
		"set: web\npolicies:\n- &a {source: a, destination: b, protocol: tcp, port: 80}\n- *a\n- <<: *a\n  port: 81\n", "a: &a [*a]", "? [a]\n: b", "--- {}\n--- {}", "\xff", strings.Repeat("[", 10_000),
		"set: web\npolicies: [{source: a, destination: b, protocol: tcp, ports: {start: 5, end: 2}}, {labels: {? [x] : y}}, 7, null]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := parsePolicies("web.yaml", text)
		if err != nil {
			if said := err.Error(); !strings.HasPrefix(said, "web.yaml:") || len(said) > 16<<10+8*len(text) {
				t.Fatalf("%q is refused with %q", text, said)
			}
			return
		}
		for _, p := range file.policies {
			if p.Source == "" || p.Destination == "" || p.Protocol != "tcp" && p.Protocol != "udp" || p.Ports.Start < 1 || p.Ports.Start > p.Ports.End || p.Ports.End > 65535 {
				t.Fatalf("%q gives %+v", text, p)
			}
		}
	})
}
