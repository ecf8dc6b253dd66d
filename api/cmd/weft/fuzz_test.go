package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
)

// FuzzPolicyFile: whatever somebody writes into a file, it is a whole set of
// policies, or each fault of it has a place.
func FuzzPolicyFile(f *testing.F) {
	for _, seed := range []string{
		"set: shop\npolicies:\n  - {from: web, to: backend, ports: 8080-8090, protocol: udp, name: n, description: d, labels: {a: b}}\n",
		"set: shop\npolicies: []\n", "", "---\n", "- 1", "set: &a [*a]\npolicies: *a\n", "set: !!binary x\npolicies: {}\n",
		"? [a, b]\n: c\n", "set: 1\npolicies:\n- &p {from: a, to: b, ports: 1}\n- *p\n", "set: a\n---\nset: b\n", "<<: {set: a}\npolicies: [1]\n",
		"policies:\n- labels: {1: {2: 3}, 1: }\n  ports: -1\n", "\t", "set: \"\xff\"", "%YAML 9\n---\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := parsePolicies("x.yaml", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "x.yaml:") {
				t.Errorf("%q without a place", err)
			}
			return
		}
		if file.set == "" || len(file.lines) != len(file.policies) {
			t.Errorf("set %q of %d policies on %d lines", file.set, len(file.policies), len(file.lines))
		}
		for i, p := range file.policies {
			if p.Source == "" || p.Destination == "" || p.Protocol != "tcp" && p.Protocol != "udp" || p.Ports.Start < 1 || p.Ports.End > 65535 {
				t.Errorf("accepted %+v", p)
			}
			if line := file.lines[i]; line < 1 || line > 1+bytes.Count(text, []byte("\n"))+bytes.Count(text, []byte("\r")) {
				t.Errorf("policy %d is on line %d", i, line)
			}
		}
	})
}

// FuzzPorts: what is a range of ports is one when it is written, too.
func FuzzPorts(f *testing.F) {
	for _, seed := range []string{"80", "80-90", "90-80", "-", "+1", "65536", "1-2-3", "٣"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ports, err := api.ParsePorts(text)
		if err != nil {
			return
		}
		again, err := api.ParsePorts(ports.String())
		if err != nil || again != ports {
			t.Errorf("%q is %v, which is %v, %v", text, ports, again, err)
		}
	})
}
