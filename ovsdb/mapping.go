package ovsdb

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// PortMapping opens a port of a container on its cell's address.
type PortMapping struct {
	HostPort      uint16 // 1 to 65535, one container's alone for its protocol
	ContainerPort uint16 // 1 to 65535
	Protocol      string // "tcp" or "udp"
}

// String returns the mapping as external_ids:weft-ports has it: 61000:8080/tcp.
func (m PortMapping) String() string {
	return fmt.Sprintf("%d:%d/%s", m.HostPort, m.ContainerPort, m.Protocol)
}

// FormatMappings returns the text of a container's mappings, sorted:
// 61000:8080/tcp,61001:2222/tcp. Equal sets have equal texts.
func FormatMappings(mappings []PortMapping) string {
	mappings = slices.Clone(mappings)
	slices.SortFunc(mappings, func(a, b PortMapping) int {
		return cmp.Or(cmp.Compare(a.HostPort, b.HostPort), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.ContainerPort, b.ContainerPort))
	})
	texts := make([]string, len(mappings))
	for i, m := range mappings {
		texts[i] = m.String()
	}
	return strings.Join(texts, ",")
}

// ParseMappings is the inverse of FormatMappings; the empty text has none. It
// refuses a host port and protocol that is there twice. The error names the
// mapping, the field and its value.
func ParseMappings(text string) ([]PortMapping, error) {
	if text == "" {
		return nil, nil
	}
	var mappings []PortMapping
	for word := range strings.SplitSeq(text, ",") {
		m, err := parseMapping(word)
		if err != nil {
			return nil, fmt.Errorf("mapping %q: %w", word, err)
		}
		if slices.ContainsFunc(mappings, m.Clashes) {
			return nil, fmt.Errorf("mapping %q: host port %d/%s is there twice", word, m.HostPort, m.Protocol)
		}
		mappings = append(mappings, m)
	}
	return mappings, nil
}

// Clashes reports whether both want one port of the host.
func (m PortMapping) Clashes(other PortMapping) bool {
	return m.HostPort == other.HostPort && m.Protocol == other.Protocol
}

func parseMapping(text string) (m PortMapping, err error) {
	ports, protocol, hasProtocol := strings.Cut(text, "/")
	host, container, hasContainer := strings.Cut(ports, ":")
	if !hasProtocol || !hasContainer {
		return m, fmt.Errorf("must be HOST_PORT:CONTAINER_PORT/PROTOCOL")
	}
	if m.HostPort, err = parsePort("host port", host); err != nil {
		return m, err
	}
	if m.ContainerPort, err = parsePort("container port", container); err != nil {
		return m, err
	}
	if protocol != "tcp" && protocol != "udp" {
		return m, fmt.Errorf("protocol %q: must be tcp or udp", protocol)
	}
	m.Protocol = protocol
	return m, nil
}

func parsePort(field, text string) (uint16, error) {
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 {
		return 0, fmt.Errorf("%s %q: must be 1 to 65535", field, text)
	}
	return uint16(number), nil
}
