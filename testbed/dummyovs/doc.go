// Package dummyovs starts a private Open vSwitch for one test: a real
// ovsdb-server and a real ovs-vswitchd with OVS's own dummy datapath, in a
// temporary directory, without root, in a fraction of a second. The classifier, the
// connection tracker and the flow text are the real ones; only the network
// devices are not: a port's other end is the test.
//
//	sw := dummyovs.Start(t)
//	br := sw.AddBridge("br-weft")
//	a, b := br.AddPort("a", 101), br.AddPort("b", 102)
//	br.ReplaceFlows(text)
//	a.Send(frame)
//	got := b.Receive()
//
// What the dummy datapath cannot do is put a packet on a tunnel. Packets that
// come from one are injected with their tunnel fields (Bridge.PacketOut); what
// a flow would send to one is seen in its counters and in Bridge.Trace.
//
// Only OVS's "system" datapath and devices are replaced, so that tunnel ports
// are real tunnel ports. A bridge with datapath_type=netdev would open real tap
// devices on this machine: make one only after StartOverride, or in a network
// namespace of the test's own after StartUserspace, which replaces nothing.
//
// It imports nothing of this project, so every package's tests may use it.
package dummyovs
