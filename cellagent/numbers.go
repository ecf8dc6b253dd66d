package cellagent

import (
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

const (
	// lastReserved is the highest OpenFlow port that is spoken for: the tunnel's
	// and weftdeny's come before those of containers.
	lastReserved = int(flows.DenyOFPort)
	maxOFPort    = int(flows.MaxOFPort)
	// firstMoved is the lowest number that the agent itself gives. ovs-vswitchd
	// counts upwards from 1, and may give any lower one to a port that is being
	// added while the agent asks for it.
	firstMoved = 0x8000
)

// holders says which port has each OpenFlow number, or gets it. Who has it has
// packets come in by it: who only asks for it gets another, and neither may have
// the other's identity. Of several that ask, it is the first. A number of an
// interface that is no container's has the holder "".
func (s source) holders() map[int]string {
	holder := make(map[int]string, len(s.others)+len(s.ports))
	for _, n := range s.others {
		holder[n] = ""
	}
	for _, number := range []func(ovsdb.Port) int{func(p ovsdb.Port) int { return p.OFPort }, numberOf} {
		for _, p := range s.ports {
			n := number(p)
			if _, held := holder[n]; !held {
				holder[n] = p.Name
			}
		}
	}
	return holder
}

// spares returns what gives out, from the lowest on, the numbers of the agent's own
// that nobody has, asks for or was given. Few ports ever need one, since only
// those that ovs-vswitchd put on a reserved number do.
func (s source) spares(holder map[int]string) (next func() int) {
	var asked map[int]bool
	last := firstMoved - 1
	return func() int {
		if asked == nil {
			asked = make(map[int]bool, len(s.ports))
			for _, p := range s.ports {
				asked[p.OFPortRequest] = true
			}
		}
		for last++; last < maxOFPort; last++ {
			if _, held := holder[last]; !held && !asked[last] {
				break
			}
		}
		return last
	}
}

// numberOf is the OpenFlow port that p has or will have. Flows may be there
// before ovs-vswitchd has made it.
func numberOf(p ovsdb.Port) int {
	if p.OFPort == 0 && p.OFPortRequest > lastReserved && p.OFPortRequest <= maxOFPort {
		return p.OFPortRequest
	}
	return p.OFPort
}
