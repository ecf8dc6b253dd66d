package flows

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
)

// CellID names a cell (a host that runs containers). It is the common name of
// the cell's certificate: 1 to 63 characters of a-z, 0-9 and '-'.
type CellID string

// AppID is the identity key of a container: its policy_group_id, else its
// app_id. The empty AppID is a container without identity: it starts isolated.
type AppID string

// GroupID is a VXLAN group policy id (tun_gbp_id in flow text), 16 bits. Zero
// is no identity: no policy matches it.
// See https://datatracker.ietf.org/doc/html/draft-smith-vxlan-group-policy.
type GroupID uint16

// PolicyID numbers a policy in the controller's database, from 1; it is never
// reused. It fits the 60 bits that a Cookie has for it.
type PolicyID uint64

// OFPort is an OpenFlow port number on a cell's bridge, 1 to 0xfeff
// (OpenFlow 1.4 section 7.2.1, limited to 16 bits as OVS does).
type OFPort uint16

// VNI is a VXLAN network identifier (tun_id in flow text), 24 bits.
type VNI uint32

// Protocol is an IP protocol number that a policy can name.
type Protocol uint8

// The protocols of policies between apps.
const (
	TCP Protocol = 6
	UDP Protocol = 17
)

// String returns the name that the policy API uses: "tcp" or "udp".
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return fmt.Sprintf("protocol(%d)", uint8(p))
}

// ParseProtocol is the inverse of Protocol.String. It is case-sensitive, as
// the policy API is.
func ParseProtocol(name string) (Protocol, error) {
	switch name {
	case "tcp":
		return TCP, nil
	case "udp":
		return UDP, nil
	}
	return 0, fmt.Errorf("protocol %q: must be tcp or udp", name)
}

// MarshalText writes the name that String returns; it fails for other protocols.
func (p Protocol) MarshalText() ([]byte, error) {
	if _, err := ParseProtocol(p.String()); err != nil {
		return nil, err
	}
	return []byte(p.String()), nil
}

// Station reports whether m can be a container's: of one station, neither a
// group's nor all zeros, and not the gateway's.
func (m MAC) Station() bool { return m[0]&1 == 0 && m != MAC{} && m != GatewayMAC }

// UnmarshalText reads a name as ParseProtocol does.
func (p *Protocol) UnmarshalText(text []byte) (err error) {
	*p, err = ParseProtocol(string(text))
	return err
}

// PortRange is an inclusive range of destination ports, 1 <= First <= Last.
type PortRange struct{ First, Last uint16 }

// Endpoint is one container's interface on this cell.
type Endpoint struct {
	Container string     // the runtime's container id; unique on the cell
	App       AppID      // whose it is
	Group     GroupID    // App's group id; 0 while it has none (isolated)
	IP        netip.Addr // IPv4, inside the cell's lease
	OFPort    OFPort     // the host end of its veth on the bridge
	MAC       MAC        // of the container's end; the zero MAC: MACOf(IP)

	Egress EgressRules // where it may open connections out of the overlay
	Log    bool        // log accepted connections from and to it
}

// mac is that of the container's end.
func (ep Endpoint) mac() MAC {
	if ep.MAC == (MAC{}) {
		return MACOf(ep.IP)
	}
	return ep.MAC
}

// Peer is another cell, as far as this one needs to know it.
type Peer struct {
	Cell  CellID
	VTEP  netip.Addr   // IPv4 underlay address of its tunnel end
	Lease netip.Prefix // the overlay subnet that its containers use
}

// Rule allows one group to open connections to another. Rules only ever allow.
type Rule struct {
	Policy   PolicyID
	From, To GroupID
	Protocol Protocol
	Ports    PortRange // destination ports
	Log      bool      // log connections that it allows, whoever hosts its ends
}

// CellState is everything that a cell's flow table depends on. The order of
// its slices means nothing.
type CellState struct {
	Cell    CellID
	VNI     VNI            // of the overlay
	Lease   netip.Prefix   // this cell's own overlay subnet
	Overlay []netip.Prefix // the whole overlay network
	Local   []Endpoint
	Remote  []Peer // every other cell
	Allow   []Rule // those whose To has an endpoint here

	VXLANPort uint16         // UDP port of the overlay's tunnels: closed to containers; 0: DefaultVXLANPort
	Deny      []netip.Prefix // networks out of the overlay that no egress rule opens
	Services  []Service      // of this cell that every container may use
}

// Service is a port of the host that containers of this cell may use without
// an egress rule: DNS, say.
type Service struct {
	Protocol Protocol // TCP or UDP
	Addr     netip.Addr
	Port     uint16
}

// DefaultVXLANPort is the UDP port that IANA gives VXLAN (RFC 7348 section 5).
const DefaultVXLANPort = 4789

// The addresses and ports that are the same on every cell, so that nothing a
// container has learnt changes when it moves or the cell restarts.
var (
	// GatewayIP is every container's next hop, link-local and on no interface:
	// the bridge answers ARP for it.
	GatewayIP = netip.AddrFrom4([4]byte{169, 254, 0, 1})
	// GatewayMAC is the source MAC of everything delivered to a container.
	GatewayMAC = MACOf(GatewayIP)
)

// TunnelOFPort is the OpenFlow port of the VXLAN-GBP tunnel on every bridge.
// The agent pins it with ofport_request and refuses any other.
const TunnelOFPort OFPort = 1

// MaxOFPort is the highest number of an ordinary port: OFPP_MAX of OpenFlow 1.0,
// since OVS has 16 bits for it. Those above are reserved.
const MaxOFPort OFPort = 0xfeff

// firstOFPort is that of a lease's network address, which nobody has.
const firstOFPort = 100

// OFPortOf derives a container's OpenFlow port from its place in the cell's
// lease, so that people know one from the other: 10.255.1.7 of 10.255.1.0/24 is
// on port 107. It is 0, any port, for the last addresses of a /16 and most of a
// larger lease.
func OFPortOf(lease netip.Prefix, ip netip.Addr) OFPort {
	first, own := lease.Masked().Addr().As4(), ip.As4()
	place := binary.BigEndian.Uint32(own[:]) - binary.BigEndian.Uint32(first[:])
	if place > uint32(MaxOFPort)-firstOFPort {
		return 0
	}
	return OFPort(firstOFPort + place)
}

// DenyOFPort is the OpenFlow port of the internal port by which denied packets
// leave the bridge, to be answered and logged by the host, and by which the
// answers come back. The agent pins it as it does the tunnel's.
const DenyOFPort OFPort = 2

// HostMark is the bit of the packet mark (pkt_mark in flow text) that the
// host's own rules set on what they let go to containers. Without it the bridge
// refuses what the host sends: so a host whose rules were flushed forwards
// nothing to containers instead of everything.
const HostMark = 0x04000000

// AnswerMark is the bit of the packet mark that the host's rules add to what
// answers, to their tracker, a connection that a container opened. The bridge
// takes none of these for the first of a connection.
const AnswerMark = 0x02000000

// ReplyMark is the bit of the packet mark that the bridge sets on containers'
// packets of connections that the host opened. To the host's own rules all
// others of a container are its own doing.
const ReplyMark = 0x08000000

// MAC is an Ethernet address. It is comparable, which net.HardwareAddr is not.
type MAC [6]byte

// String prints it as OVS does: ee:ee:0a:ff:01:02.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// UnmarshalText reads a MAC as ParseMAC does.
func (m *MAC) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMAC(string(text))
	return err
}

// halves returns the first two bytes and the last four, as numbers.
func (m MAC) halves() (high, low uint32) {
	return uint32(m[0])<<8 | uint32(m[1]), uint32(m[2])<<24 | uint32(m[3])<<16 | uint32(m[4])<<8 | uint32(m[5])
}

// ParseMAC is the inverse of String; the case of letters does not matter.
func ParseMAC(text string) (mac MAC, err error) {
	for i := range mac {
		at := 3 * i // two digits, and a colon before all but the first
		if len(text) != 3*len(mac)-1 || i > 0 && text[at-1] != ':' {
			return MAC{}, notMAC(text)
		}
		b, err := strconv.ParseUint(text[at:at+2], 16, 8)
		if err != nil {
			return MAC{}, notMAC(text)
		}
		mac[i] = byte(b)
	}
	return mac, nil
}

func notMAC(text string) error {
	return fmt.Errorf("MAC %.60q: must be six bytes such as ee:ee:0a:ff:01:02", text)
}

// MACOf derives the MAC of an overlay address: ee:ee: and its four bytes. It is
// a container's unless its runtime asks for another, and lets one flow set the
// destination MAC of whatever goes to another cell. It panics on an address
// that is not IPv4; addresses are validated where they enter.
func MACOf(ip netip.Addr) MAC {
	b := ip.As4()
	return MAC{0xee, 0xee, b[0], b[1], b[2], b[3]}
}
