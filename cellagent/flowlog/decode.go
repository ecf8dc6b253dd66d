package flowlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/weft-sdn/weft/cellagent/hostnet"
	"github.com/weft-sdn/weft/flows"
)

// Frame is a packet as the kernel logged it.
type Frame struct {
	Time    time.Time
	Prefix  string // of the rule that logged it
	Header  []byte // Ethernet
	Payload []byte // IPv4, possibly cut off
}

var errNotOurs = errors.New("not logged by the cell's own rules")

// decode reads a frame. Whoever sent the packet chose every byte of its
// payload; what cannot be an IPv4 packet is an error.
func decode(f Frame) (Event, error) {
	e := Event{Time: f.Time}
	if err := e.decodeReason(f); err != nil {
		return Event{}, err
	}
	if err := e.decodePacket(f.Payload); err != nil {
		return Event{}, fmt.Errorf("packet of group %d: %w", e.SourceGroup, err)
	}
	return e, nil
}

// decodeReason reads who logged the frame and why.
func (e *Event) decodeReason(f Frame) error {
	// What the host's rules log themselves has no notice.
	switch prefix := strings.TrimRight(f.Prefix, ": "); prefix {
	case hostnet.PrefixLimit, hostnet.PrefixLimitDry:
		e.Direction, e.Verdict, e.Reason = Egress, Limited, "outbound_connections"
		e.DryRun = prefix == hostnet.PrefixLimitDry
		return nil
	}
	if len(f.Header) < 14 || binary.BigEndian.Uint16(f.Header[12:]) != 0x0800 {
		return errNotOurs
	}
	notice, err := flows.NoticeOf(flows.MAC(f.Header[6:12]), flows.MAC(f.Header[:6]))
	if err != nil {
		return fmt.Errorf("%w: %w", errNotOurs, err)
	}
	e.Direction, e.Verdict = Ingress, Denied
	if notice.Reason.Accepted() {
		e.Verdict = Accepted
	}
	switch notice.Reason &^ flows.ReasonAccepted {
	case flows.ReasonPolicy:
		e.Reason = "policy"
	case flows.ReasonEgress:
		e.Direction, e.Reason = Egress, "egress"
	case flows.ReasonDenyNetwork:
		e.Direction, e.Reason = Egress, "deny_networks"
	}
	e.Table = notice.Reason.Table().String()
	e.Reply, e.SourceGroup, e.DestinationGroup = notice.Backward, notice.From, notice.To
	return nil
}

// decodePacket reads addresses, protocol and ports. Of a later fragment, or of
// a packet that is cut off before them, there are no ports.
func (e *Event) decodePacket(p []byte) error {
	if len(p) < 20 || p[0]>>4 != 4 {
		return fmt.Errorf("%d bytes that are no IPv4 packet", len(p))
	}
	header, total := int(p[0]&0xf)*4, int(binary.BigEndian.Uint16(p[2:]))
	if header < 20 || total < header {
		return fmt.Errorf("IPv4 header of %d bytes in a packet of %d", header, total)
	}
	e.number = flows.Protocol(p[9])
	e.Protocol = protocolName(e.number)
	e.SourceIP, e.DestinationIP = netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20]))
	body := p[min(header, len(p)):min(total, len(p))]
	if later := binary.BigEndian.Uint16(p[6:])&0x1fff != 0; later || len(body) < 4 {
		return nil
	}
	switch e.number {
	case flows.TCP, flows.UDP:
		e.SourcePort, e.DestinationPort = binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:])
	case flows.ICMP:
		kind, code := body[0], body[1]
		e.ICMPType, e.ICMPCode = &kind, &code
	}
	return nil
}

func protocolName(p flows.Protocol) string {
	switch p {
	case flows.TCP, flows.UDP:
		return p.String()
	case flows.ICMP:
		return "icmp"
	}
	return strconv.Itoa(int(p))
}
