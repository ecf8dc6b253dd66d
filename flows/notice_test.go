package flows

import "testing"

// TestNoticeRoundTrip: what the bridge writes into a frame's addresses is what
// the host reads, and a frame of somebody else is not taken for a notice.
func TestNoticeRoundTrip(t *testing.T) {
	for _, n := range []Notice{
		{Reason: ReasonPolicy, From: 101, To: 65535},
		{Reason: ReasonPolicy, Backward: true, From: 0x1234, To: 7},
		{Reason: ReasonDenyNetwork, From: 1},
		{Reason: ReasonEgressAccepted, From: 102},
	} {
		if got, err := NoticeOf(n.MACs()); err != nil || got != n {
			t.Errorf("%+v: got %+v, %v", n, got, err)
		}
	}
	for _, macs := range [][2]MAC{
		{},
		{MACOf(GatewayIP), MACOf(GatewayIP)},
		{{0xee, 0xee, 9, 0, 0, 1}, {0xee, 0xee, 0, 0, 0, 1}},
		{{0xee, 0xee, 1, 2, 0, 1}, {0xee, 0xee, 0, 0, 0, 1}},
	} {
		if n, err := NoticeOf(macs[0], macs[1]); err == nil {
			t.Errorf("%v: taken for %+v", macs, n)
		}
	}
}
