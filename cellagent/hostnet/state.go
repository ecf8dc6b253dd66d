package hostnet

import (
	"net/netip"
	"slices"

	"github.com/weft-sdn/weft/flows"
)

// The network devices of a cell besides its bridge.
const (
	DenyDevice   = "weftdeny"   // OVS internal port flows.DenyOFPort: denied packets come out, answers go in
	RejectBridge = "weftreject" // Linux bridge with DenyDevice as its only port: nftables can reject on bridges
)

// LogGroup is the NFLOG group of all that is logged.
const LogGroup = 7

// Prefixes of what is logged. All but the last two come from DenyDevice with
// the frame's header, which is a flows.Notice.
const (
	PrefixDenied   = "weft-denied"
	PrefixAccepted = "weft-accepted"
	PrefixLimit    = "weft-limit"     // over the limit of outbound connections, and refused
	PrefixLimitDry = "weft-limit-dry" // over the limit, and let pass
)

// SnapLen is how much of a packet is logged, bytes: IP and transport header
// with all options.
const SnapLen = 128

// State is all that the host's side of a cell depends on.
type State struct {
	Bridge       string       // network device of the OVS bridge
	Lease        netip.Prefix // overlay subnet of the cell's containers
	VTEP         netip.Addr   // the cell's own address: source of what the host sends to them
	VXLANPort    uint16       // UDP port of the overlay's tunnels: closed to containers
	Services     []flows.Service
	NoMasquerade []netip.Prefix // networks that see the containers' own addresses
	Outbound     ConnectionLimit
	Answers      AnswerLimits
	Log          Log
	Mappings     []Mapping

	// Mute leaves out the answers to what the bridge denied, for a kernel that
	// cannot reject in family bridge. Host sets it.
	Mute bool
}

// ConnectionLimit bounds new TCP connections out of the overlay, for each
// container, destination address and port. The zero value is no limit.
type ConnectionLimit struct {
	RatePerSec, Burst int
	DryRun            bool // log only
}

// AnswerLimits bound resets and ICMP errors, per second.
type AnswerLimits struct{ PerContainer, PerCell int }

// Log bounds what is logged, per second. The zero value logs nothing.
type Log struct {
	On                bool
	DeniedPerSec      int // of one container
	AcceptedUDPPerSec int // of the cell
}

// disjoint drops networks that lie in others and sorts: nftables refuses sets
// whose intervals overlap.
func disjoint(networks []netip.Prefix) []netip.Prefix {
	ordered := slices.Clone(networks)
	slices.SortFunc(ordered, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	var out []netip.Prefix
	for _, p := range ordered {
		if n := len(out); n == 0 || !out[n-1].Contains(p.Addr()) {
			out = append(out, p)
		}
	}
	return out
}
