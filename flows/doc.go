// Package flows answers one question: what should this cell's flow table be?
// It is pure: no I/O, clock, goroutine or randomness. Equal states give equal
// tables, whatever happened before and in whatever order they are listed.
//
// # The journey of a packet
//
// A frontend (group 101) on cell-2 opens a connection to a backend (group 102,
// port 12) on cell-1, tcp/8080. Policy 7 allows it. On cell-1:
//
//	in by the tunnel: tun_id 1, tun_src 172.31.0.2, tun_gbp_id 101
//	  |
//	classify     a known cell, and the inner source is in its lease: believed.
//	  |          source=101, applied=0, origin=tunnel
//	conntrack    looked up in the overlay's zone: +new
//	  |
//	state        not a reply: class=original
//	  |
//	destination  10.255.1.3 is here: destination=102, ofport=12, delivery=local
//	  |
//	judge        original, and for us: policy decides
//	  |
//	policy       tcp/8080 from 101 to 102: policy 7's flow
//	  |
//	output       commit (judged, 101, 102), MACs, output:12
//
// The answer comes in by port 12:
//
//	classify     port 12: source=102, origin=container
//	portsec      its own MAC and address
//	conntrack    +est+rpl, judged
//	state        class=reply: we judged the question
//	destination  10.255.2.2 is in cell-2's lease: vtep=172.31.0.2, delivery=tunnel
//	judge        turned: source=101 (from the label), destination=102 (the sender)
//	policy       the same flow, by the port of the first packet
//	output       to 172.31.0.2 as group 102, with the policy-applied bit
//
// and cell-2, whose entry proves only that it asked, believes that bit: class
// elsewhere, from judge straight to output. What is not allowed ends in the
// last flow of a table, which counts it. docs/pipeline.md says why each table
// is as it is.
//
// # Where to start reading
//
// cell.go has the vocabulary, contracts.go the tables as data, registers.go
// what is carried between them, compile.go the compiler; then one file per
// table, named as ovs-ofctl --names prints it. A table is the union of
// fragments (fragment.go), each a pure function of one object, so that a change
// recompiles what it touches.
package flows
