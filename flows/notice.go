package flows

import "fmt"

// Notice is what the bridge tells the host of a packet that it sends out by
// DenyOFPort: a denied one, to be answered and logged, or a copy of the first
// one of an accepted connection, to be logged only. It travels in the frame's
// MAC addresses, of which such a frame has no other use:
//
//	source MAC       ee:ee:RR:DD:SS:SS   reason, direction, sender's group id
//	destination MAC  ee:ee:00:00:TT:TT   receiver's group id; 0 if it has none here
//
// So `tcpdump -e -i weftdeny` shows who was denied and why; and the answer,
// which the host sends with the addresses swapped, says on whose behalf it is.
type Notice struct {
	Reason   Reason
	Backward bool    // the packet travels against its connection: a server's
	From, To GroupID // the packet's sender and receiver
}

// Reason is why the bridge sent a packet to the host, 8 bits. Those with
// ReasonAccepted set are of accepted packets.
type Reason uint8

// The reasons.
const (
	ReasonPolicy         Reason = 1                             // no policy allows it
	ReasonEgress         Reason = 2                             // no egress rule allows it
	ReasonDenyNetwork    Reason = 3                             // it goes to a network that is always denied
	ReasonAccepted       Reason = 0x80                          // the bit of the accepted ones
	ReasonPolicyAccepted        = ReasonAccepted | ReasonPolicy // a policy allows it
	ReasonEgressAccepted        = ReasonAccepted | ReasonEgress // an egress rule allows it
)

// noticeBackward is the direction byte of a packet against its connection.
const noticeBackward = 1

// String returns the reason's name: "policy", "egress" or "deny_networks",
// whichever verdict it is of.
func (r Reason) String() string {
	switch r &^ ReasonAccepted {
	case ReasonPolicy:
		return "policy"
	case ReasonEgress:
		return "egress"
	case ReasonDenyNetwork:
		return "deny_networks"
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// Accepted reports whether the packet was let through.
func (r Reason) Accepted() bool { return r&ReasonAccepted != 0 }

// Table returns the table that decided.
func (r Reason) Table() TableID {
	if r&^ReasonAccepted == ReasonPolicy {
		return TablePolicy
	}
	return TableEgress
}

// MACs returns the source and destination addresses of the notice's frame.
func (n Notice) MACs() (source, destination MAC) {
	source = MAC{0xee, 0xee, byte(n.Reason), 0, byte(n.From >> 8), byte(n.From)}
	if n.Backward {
		source[3] = noticeBackward
	}
	return source, MAC{0xee, 0xee, 0, 0, byte(n.To >> 8), byte(n.To)}
}

// NoticeOf is the inverse of MACs. It fails for a frame of anybody else.
func NoticeOf(source, destination MAC) (Notice, error) {
	n := Notice{
		Reason: Reason(source[2]), Backward: source[3] == noticeBackward,
		From: GroupID(source[4])<<8 | GroupID(source[5]), To: GroupID(destination[4])<<8 | GroupID(destination[5]),
	}
	if s, d := n.MACs(); s != source || d != destination {
		return Notice{}, fmt.Errorf("frame from %v to %v: not a notice of the bridge", source, destination)
	}
	switch n.Reason {
	case ReasonPolicy, ReasonEgress, ReasonDenyNetwork, ReasonPolicyAccepted, ReasonEgressAccepted:
		return n, nil
	}
	return Notice{}, fmt.Errorf("frame from %v to %v: reason %d is unknown", source, destination, n.Reason)
}
