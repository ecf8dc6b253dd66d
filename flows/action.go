package flows

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/digitalocean/go-openvswitch/ovs"
)

// literal is an action whose text is fixed.
type literal string

// drop discards the packet; a flow that drops does nothing else.
var drop = ovs.Drop()

// backToSender outputs to the port that the packet entered by, which output
// to a port's number refuses to do.
const backToSender = literal("IN_PORT")

// toHost outputs to the bridge's own port.
const toHost = literal("LOCAL")

// replyMark sets ReplyMark.
var replyMark = ovs.Load("0x1", fmt.Sprintf("NXM_NX_PKT_MARK[%d]", bits.TrailingZeros32(ReplyMark)))

// gotoTable continues the pipeline.
type gotoTable TableID

// connTrack is OVS's ct() action.
type connTrack struct {
	commit, force bool
	next          TableID // recirculate there; 0: go on with the next action
	zone          uint16
	exec          []ovs.Action // on the connection's mark and label
}

// track looks the packet up and continues in next with ct_* known.
func track(zone uint16, next TableID) ovs.Action { return &connTrack{zone: zone, next: next} }

// commit makes or refreshes the connection's entry.
func commit(exec ...ovs.Action) ovs.Action {
	return &connTrack{commit: true, zone: ZoneOverlay, exec: exec}
}

// turn makes the packet's direction the connection's original one. The plain
// lookup before it matters to the kernel, which deletes an entry of the other
// direction only if that very entry is attached to the packet; after a lookup
// in ZoneGlare another one is (skb_nfct_cached in net/openvswitch/conntrack.c).
// Tried on Linux 6.1, both sides sending 25 datagrams at once, one way allowed:
// without it 0 of the answers arrive, with it 23 and 24. OVS's userspace
// datapath turns either way, so no test on it can show the difference.
func turn(exec ...ovs.Action) []ovs.Action {
	return []ovs.Action{
		&connTrack{zone: ZoneOverlay},
		&connTrack{commit: true, force: true, zone: ZoneOverlay, exec: exec},
	}
}

// set loads a value into a register field. OpenFlow 1.4 prints a part of a
// field as load and a whole field as set_field, whatever it was given.
func (r Register) set(value uint32) ovs.Action {
	if r.whole() {
		return ovs.SetField(hex(value), r.Field)
	}
	return ovs.Load(hex(value), r.nxm())
}

// hex prints a number as OVS does (C's %#x): 0x65, but 0.
func hex(n uint32) string { return string(appendHex(nil, n)) }

func appendHex(b []byte, n uint32) []byte {
	if n == 0 {
		return append(b, '0')
	}
	return strconv.AppendUint(append(b, "0x"...), uint64(n), 16)
}

// from copies another field, named as OVS prints it: NXM_NX_TUN_GBP_ID[].
func (r Register) from(field string) ovs.Action { return ovs.Move(field, r.nxm()) }

// to copies the register field to another one.
func (r Register) to(field string) ovs.Action { return ovs.Move(r.nxm(), field) }

// fromGateway makes a packet look as routed.
func fromGateway() ovs.Action { return ovs.SetField(GatewayMAC.String(), "eth_src") }

// rewriteMACs makes a packet look as routed: from the gateway, to the MAC that
// follows from its destination address, whoever has that.
func rewriteMACs() []ovs.Action {
	return []ovs.Action{
		fromGateway(),
		ovs.SetField("ee:ee:00:00:00:00", "eth_dst"),
		ovs.Move("NXM_OF_IP_DST[]", "NXM_OF_ETH_DST[0..31]"),
	}
}

// MarshalText implements ovs.Action.
func (l literal) MarshalText() ([]byte, error) { return []byte(l), nil }

// GoString implements ovs.Action.
func (l literal) GoString() string { return fmt.Sprintf("flows.literal(%q)", string(l)) }

func (g gotoTable) appendText(b []byte) []byte {
	return append(append(b, "goto_table:"...), TableID(g).String()...)
}

// MarshalText implements ovs.Action.
func (g gotoTable) MarshalText() ([]byte, error) { return g.appendText(nil), nil }

// GoString implements ovs.Action.
func (g gotoTable) GoString() string { return fmt.Sprintf("flows.gotoTable(%d)", uint8(g)) }

// MarshalText implements ovs.Action. The order of the arguments is OVS's.
func (c *connTrack) MarshalText() ([]byte, error) {
	var args []string
	if c.commit {
		args = append(args, "commit")
	}
	if c.force {
		args = append(args, "force")
	}
	if c.next != 0 {
		args = append(args, "table="+c.next.String())
	}
	args = append(args, "zone="+strconv.Itoa(int(c.zone)))
	if len(c.exec) > 0 {
		text, err := appendActions(nil, c.exec)
		if err != nil {
			return nil, err
		}
		args = append(args, "exec("+string(text)+")")
	}
	return ovs.ConnectionTracking(strings.Join(args, ",")).MarshalText()
}

// GoString implements ovs.Action.
func (c *connTrack) GoString() string { return fmt.Sprintf("&flows.connTrack%+v", *c) }

func appendActions(b []byte, actions []ovs.Action) ([]byte, error) {
	for i, a := range actions {
		if i > 0 {
			b = append(b, ',')
		}
		if own, ok := a.(appender); ok {
			b = own.appendText(b)
			continue
		}
		text, err := a.MarshalText()
		if err != nil {
			return nil, fmt.Errorf("action %#v: %w", a, err)
		}
		b = append(b, text...)
	}
	return b, nil
}
