package cni

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/weft-sdn/weft/ovsdb"
)

// portMapping is one of runtimeConfig.portMappings, in the words of Cloud
// Foundry's Garden, which has TCP alone, or of the CNI convention.
type portMapping struct {
	GardenHost      *int64 `json:"host_port"`
	GardenContainer *int64 `json:"container_port"`
	Host            *int64 `json:"hostPort"`
	Container       *int64 `json:"containerPort"`
	Protocol        string `json:"protocol"`
	HostIP          string `json:"hostIP"`
}

// parseMappings reads the container's ports that shall be open on the cell's
// address.
func parseMappings(path string, raw json.RawMessage) ([]ovsdb.PortMapping, error) {
	wanted, err := decodeList[portMapping](path, raw)
	if err != nil {
		return nil, err
	}
	mappings := make([]ovsdb.PortMapping, 0, len(wanted))
	for i, w := range wanted {
		place := fmt.Sprintf("%s[%d]", path, i)
		m, err := w.mapping(place)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(mappings, m.Clashes) {
			return nil, invalid(place+w.hostKey(), m.HostPort, "is mapped twice for "+m.Protocol)
		}
		mappings = append(mappings, m)
	}
	return mappings, nil
}

func (w portMapping) mapping(place string) (m ovsdb.PortMapping, err error) {
	host, container := value(cmp.Or(w.GardenHost, w.Host)), value(cmp.Or(w.GardenContainer, w.Container))
	containerKey := ".containerPort"
	if w.GardenContainer != nil {
		containerKey = ".container_port"
	}
	switch {
	case host == 0: // Garden's allocator was asked for one and gave none
		return m, invalid(place+w.hostKey(), host, "cannot allocate port 0")
	case !isPort(host):
		return m, invalid(place+w.hostKey(), host, "must be 1 to 65535")
	case !isPort(container):
		return m, invalid(place+containerKey, container, "must be 1 to 65535")
	case w.HostIP != "" && w.HostIP != "0.0.0.0":
		return m, invalid(place+".hostIP", w.HostIP, "must be empty or 0.0.0.0: ports open on the cell's own IPv4 addresses")
	}
	m = ovsdb.PortMapping{HostPort: uint16(host), ContainerPort: uint16(container), Protocol: "tcp"}
	if w.Protocol != "" {
		m.Protocol = strings.ToLower(w.Protocol)
	}
	if m.Protocol != "tcp" && m.Protocol != "udp" {
		return m, invalid(place+".protocol", w.Protocol, "must be tcp or udp")
	}
	return m, nil
}

// hostKey is the key of the host port in the words that were used.
func (w portMapping) hostKey() string {
	if w.GardenHost != nil {
		return ".host_port"
	}
	return ".hostPort"
}

func isPort(n int64) bool { return 1 <= n && n <= 65535 }

func value(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// remedy says what to do when the agent has refused the container.
func (a *adding) remedy(ctx context.Context) string {
	ports, _ := a.db.Ports(ctx, a.Bridge) // without them the agent's reason must do
	for _, p := range ports {
		for _, m := range a.Mappings {
			if p.Name != a.HostName && slices.ContainsFunc(p.Mappings, m.Clashes) {
				return fmt.Sprintf("stop container %s, or choose another host port than %d/%s", p.Container, m.HostPort, m.Protocol)
			}
		}
	}
	return "weft-agent status"
}
