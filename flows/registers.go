package flows

import (
	"fmt"
	"slices"
	"strconv"
)

// Register is a named bit field that carries a decision from the table that
// made it to the tables that need it, or in the connection's entry from one
// packet to the next. Declared once, here; a test holds that no two overlap.
// Numbers and meanings are a compatibility surface within one bridge: during
// an upgrade old and new flows are on it together.
type Register struct {
	Name      string // as Contract.Reads and Writes spell it
	Field     string // of OVS: "reg0" to "reg15", "ct_mark" or "ct_label"
	Low, High uint8  // bits, inclusive
	Doc       string
	Values    []Value // what they mean, if they are an enumeration
}

// Value names one value of an enumerated Register.
type Value struct {
	Number uint32
	Name   string
	Doc    string
}

// Registers returns all register fields, then those of conntrack entries.
func Registers() []Register { return slices.Clone(registerFields) }

var registerFields = []Register{
	source, destination, ofport, vtep, origin, applied, class, delivery, logged, reason, profile, macHigh, macLow,
	judged, labelSource, labelDestination,
}

var (
	// A group is alone in its register, so that policy can match the whole of
	// it: reg0=0x65 reads better in a dump than reg0=0x65/0xffff.
	source = Register{Name: "source", Field: "reg0", Low: 0, High: 15,
		Doc: "group id of the sender; from judge on, of the connection's opener"}
	destination = Register{Name: "destination", Field: "reg1", Low: 0, High: 15,
		Doc: "group id of the receiving local container; from judge on, of the connection's server"}
	ofport = Register{Name: "ofport", Field: "reg2", Low: 0, High: 31,
		Doc: "OpenFlow port of the receiving local container"}
	vtep = Register{Name: "vtep", Field: "reg3", Low: 0, High: 31,
		Doc: "IPv4 address of the tunnel end of the receiving cell"}
	origin = Register{Name: "origin", Field: "reg4", Low: 0, High: 1,
		Doc: "where the packet entered the bridge",
		Values: []Value{
			{originContainer, "container", "a container's port; or the deny port, in a container's name"},
			{originTunnel, "tunnel", "the VXLAN port, from a known cell"},
			{originHost, "host", "LOCAL, with the mark of the host's own rules"},
		}}
	applied = Register{Name: "applied", Field: "reg4", Low: 2, High: 2,
		Doc: "the policy-applied bit as received: the sender's cell judged this connection and allowed it"}
	class = Register{Name: "class", Field: "reg4", Low: 4, High: 6,
		Doc: "who judges the packet, and as what",
		Values: []Value{
			{classOriginal, "original", "travels the way the connection was opened: the destination's cell judges"},
			{classReply, "reply", "answers a connection that this cell judged: judged here again, as its opener's"},
			{classElsewhere, "elsewhere", "answers a connection that its sender's cell judged, which says so with the applied bit"},
			{classGlare, "glare", "looks like an answer but nobody allowed the question: judged by itself"},
			{classHost, "host", "of a connection that the host opened to a container here, either way: the host's rules judge"},
			{classRefusal, "refusal", "the host's answer to a denied packet: nobody judges it"},
			{classReturn, "return", "answers a connection out of the overlay: judged as its question was"},
		}}
	delivery = Register{Name: "delivery", Field: "reg4", Low: 8, High: 9,
		Doc: "how it leaves",
		Values: []Value{
			{deliveryLocal, "local", "to the port in ofport"},
			{deliveryTunnel, "tunnel", "to the cell in vtep"},
			{deliveryHost, "host", "to LOCAL, out of the overlay"},
		}}
	logged = Register{Name: "logged", Field: "reg4", Low: 10, High: 10,
		Doc: "if it opens a connection and is allowed, the host gets a copy for its log"}
	reason = Register{Name: "reason", Field: "reg4", Low: 16, High: 23,
		Doc: "why it was denied",
		Values: []Value{
			{uint32(ReasonPolicy), "policy", "no policy allows it"},
			{uint32(ReasonEgress), "egress", "no egress rule allows it"},
			{uint32(ReasonDenyNetwork), "deny network", "it goes to a network that is always denied"},
		}}
	profile = Register{Name: "profile", Field: "reg5", Low: 0, High: 31,
		Doc: "egress profile of the local container: the sender, or where destination finds one here, the receiver; 0: no rules"}
	macHigh = Register{Name: "mac_high", Field: "reg6", Low: 0, High: 15,
		Doc: "first two bytes of the MAC of the receiving local container"}
	macLow = Register{Name: "mac_low", Field: "reg7", Low: 0, High: 31,
		Doc: "last four bytes of it"}
	judged = Register{Name: "judged", Field: "ct_mark", Low: 0, High: 1,
		Doc: "who on this cell judged the connection and allowed it; 0: nobody, the entry proves only that a container here sent",
		Values: []Value{
			{judgedPolicy, "policy", "a policy between apps"},
			{judgedEgress, "egress", "egress rules"},
			{judgedHost, "host", "the host, which opened it"},
		}}
	labelSource = Register{Name: "label_source", Field: "ct_label", Low: 0, High: 15,
		Doc: "group id of the connection's opener when it last sent"}
	labelDestination = Register{Name: "label_destination", Field: "ct_label", Low: 16, High: 31,
		Doc: "group id of the connection's server at that time"}
)

// Values of origin.
const (
	originContainer = 1
	originTunnel    = 2
	originHost      = 3
)

// Values of class.
const (
	classOriginal  = 1
	classReply     = 2
	classElsewhere = 3
	classGlare     = 4
	classHost      = 5
	classRefusal   = 6
	classReturn    = 7
)

// Values of delivery.
const (
	deliveryLocal  = 1
	deliveryTunnel = 2
	deliveryHost   = 3
)

// Values of judged.
const (
	judgedNot    = 0
	judgedPolicy = 1
	judgedEgress = 2
	judgedHost   = 3
)

// Conntrack zones are 16 bits and shared by everything that uses conntrack on
// the cell: other bridges, nftables, the host. Most of them count from 0, so
// ours are far from there.
const (
	// ZoneOverlay holds the connections of containers with each other.
	ZoneOverlay uint16 = 0xecf0 // 60656
	// ZoneGlare never holds an entry: in it, every packet is the first of its
	// own connection, so policy judges it by its own addresses and ports.
	ZoneGlare uint16 = 0xecf1 // 60657
)

// gbpApplied is VXLAN-GBP's policy-applied flag as tun_gbp_flags has it.
// See https://datatracker.ietf.org/doc/html/draft-smith-vxlan-group-policy.
const gbpApplied = 0x8

// mask returns the field's bits within its 32-bit register.
func (r Register) mask() uint32 {
	return uint32(uint64(1)<<(r.High+1) - 1<<r.Low)
}

// whole reports whether the field is its register.
func (r Register) whole() bool { return r.Low == 0 && r.High == 31 }

// String returns the field as ovs-fields(7) writes it: reg4[0..1].
func (r Register) String() string {
	switch {
	case r.whole():
		return r.Field
	case r.Low == r.High:
		return fmt.Sprintf("%s[%d]", r.Field, r.Low)
	}
	return fmt.Sprintf("%s[%d..%d]", r.Field, r.Low, r.High)
}

// nxm returns the field as OVS 3.1 prints it in actions: NXM_NX_REG4[0..1].
func (r Register) nxm() string {
	name := "NXM_NX_" + map[string]string{"ct_mark": "CT_MARK", "ct_label": "CT_LABEL"}[r.Field]
	if number, ok := r.number(); ok {
		name = "NXM_NX_REG" + strconv.Itoa(number)
	}
	switch {
	case r.whole():
		return name + "[]"
	case r.Low == r.High:
		return fmt.Sprintf("%s[%d]", name, r.Low)
	}
	return fmt.Sprintf("%s[%d..%d]", name, r.Low, r.High)
}

// number returns N for regN.
func (r Register) number() (int, bool) {
	if len(r.Field) < 4 || r.Field[:3] != "reg" {
		return 0, false
	}
	n, err := strconv.Atoi(r.Field[3:])
	return n, err == nil
}
