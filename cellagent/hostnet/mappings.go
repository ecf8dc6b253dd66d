package hostnet

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/weft-sdn/weft/flows"
)

// Mapping opens a port of a container on the host's own addresses.
type Mapping struct {
	Protocol  flows.Protocol // flows.TCP or flows.UDP
	HostPort  uint16
	Container netip.AddrPort
}

// MappedMark is the bit of a connection's mark (ct mark) that says that a
// Mapping made it lead to its container. What leads to a container without it
// was mapped by somebody else on this host.
const MappedMark = 0x01000000

// mappedProtocols are those that ports can be mapped of.
var mappedProtocols = []flows.Protocol{flows.TCP, flows.UDP}

// object is a map or set of the inet table whose elements are the mappings', in
// the order of their text, each once.
type object struct {
	kind, name, elementType string
	elements                []string
	listed                  *regexp.Regexp // an element as nft lists it
}

// Names of the objects of a protocol.
func portMap(p flows.Protocol) string   { return p.String() + "_ports" }  // where a port of the host leads
func mappedSet(p flows.Protocol) string { return p.String() + "_mapped" } // the map's keys, which Linux 6.1 lets no rule ask it for
func openSet(p flows.Protocol) string   { return p.String() + "_open" }   // where they lead, for what is under way already

var (
	listedNumber  = regexp.MustCompile(`\d+`)
	listedTarget  = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+ \. \d+`)
	listedLeading = regexp.MustCompile(`\d+ : [0-9.]+ \. \d+`)
)

// mappingObjects are those of both protocols.
func (s State) mappingObjects() (all []object) {
	for _, p := range mappedProtocols {
		leading := object{"map", portMap(p), "inet_service : ipv4_addr . inet_service", nil, listedLeading}
		mapped := object{"set", mappedSet(p), "inet_service", nil, listedNumber}
		open := object{"set", openSet(p), "ipv4_addr . inet_service", nil, listedTarget}
		for _, m := range s.Mappings {
			if m.Protocol != p {
				continue
			}
			target := fmt.Sprintf("%v . %d", m.Container.Addr(), m.Container.Port())
			leading.elements = append(leading.elements, fmt.Sprintf("%d : %s", m.HostPort, target))
			mapped.elements = append(mapped.elements, fmt.Sprint(m.HostPort))
			open.elements = append(open.elements, target)
		}
		for _, o := range []object{leading, mapped, open} {
			slices.Sort(o.elements)
			o.elements = slices.Compact(o.elements)
			all = append(all, o)
		}
	}
	return all
}

// mappingCommands make the objects hold exactly the mappings, in one transaction
// with whatever stands before them.
func (s State) mappingCommands() string {
	var text strings.Builder
	for _, o := range s.mappingObjects() {
		fmt.Fprintf(&text, "flush %s %s %s %s\n", o.kind, familyInet, name, o.name)
		if len(o.elements) > 0 {
			fmt.Fprintf(&text, "add element %s %s %s { %s }\n", familyInet, name, o.name, strings.Join(o.elements, ", "))
		}
	}
	return text.String()
}

// ensureMappings makes the port mappings as want says where they are not.
func ensureMappings(ctx context.Context, want State) (bool, error) {
	for _, o := range want.mappingObjects() {
		same, err := o.held(ctx)
		if err != nil {
			return false, err
		}
		if !same {
			return true, setMappings(ctx, want)
		}
	}
	return false, nil
}

func setMappings(ctx context.Context, want State) error {
	if _, err := nft(ctx, want.mappingCommands()); err != nil {
		return fmt.Errorf("port mappings: %w", err)
	}
	return nil
}

// held reports whether the table's object has these elements and no others.
func (o object) held(ctx context.Context) (bool, error) {
	text, err := nft(ctx, fmt.Sprintf("list %s %s %s %s\n", o.kind, familyInet, name, o.name), "-n")
	if err != nil {
		return false, err
	}
	_, list, _ := strings.Cut(text, "elements = {")
	have := o.listed.FindAllString(list, -1)
	slices.Sort(have)
	return slices.Equal(have, o.elements), nil
}
