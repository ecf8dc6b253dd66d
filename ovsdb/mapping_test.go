package ovsdb_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/ovsdb"
)

// TestMappingsAreOneTextPerSet: whatever the order, and read back as written.
func TestMappingsAreOneTextPerSet(t *testing.T) {
	a, b, c := ovsdb.PortMapping{HostPort: 61000, ContainerPort: 8080, Protocol: "tcp"},
		ovsdb.PortMapping{HostPort: 61000, ContainerPort: 53, Protocol: "udp"},
		ovsdb.PortMapping{HostPort: 1, ContainerPort: 65535, Protocol: "tcp"}
	const want = "1:65535/tcp,61000:8080/tcp,61000:53/udp"
	for _, set := range [][]ovsdb.PortMapping{{a, b, c}, {c, b, a}, {b, a, c}} {
		if got := ovsdb.FormatMappings(set); got != want {
			t.Errorf("%v is %q, want %q", set, got, want)
		}
	}
	if got, err := ovsdb.ParseMappings(want); err != nil || !slices.Equal(got, []ovsdb.PortMapping{c, a, b}) {
		t.Errorf("%q is %v, %v", want, got, err)
	}
	if got, err := ovsdb.ParseMappings(""); err != nil || got != nil || ovsdb.FormatMappings(got) != "" {
		t.Errorf("no mappings are %v, %v", got, err)
	}
}

// TestBrokenMappingIsNamed: with the field and its value.
func TestBrokenMappingIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"nonsense":                        `"nonsense": must be HOST_PORT:CONTAINER_PORT/PROTOCOL`,
		"61000:8080":                      "must be HOST_PORT",
		"61000/tcp":                       "must be HOST_PORT",
		"0:8080/tcp":                      `host port "0": must be 1 to 65535`,
		"65536:8080/tcp":                  `host port "65536"`,
		"-1:8080/tcp":                     `host port "-1"`,
		"61000:0/tcp":                     `container port "0"`,
		"61000:x/tcp":                     `container port "x"`,
		"61000:8080/sctp":                 `protocol "sctp": must be tcp or udp`,
		"61000:8080/TCP":                  `protocol "TCP"`,
		"61000:8080/tcp,":                 `mapping ""`,
		"61000:8080/tcp, 61001:8080/tcp":  `mapping " 61001:8080/tcp": host port " 61001"`,
		"61000:8080/tcp,61000:8081/tcp":   "host port 61000/tcp is there twice",
		"61000:8080/tcp,61001:8080/tcp/x": `protocol "tcp/x"`,
	} {
		if got, err := ovsdb.ParseMappings(text); err == nil || got != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, error %v, want one with %q", text, got, err, want)
		}
	}
}
