// Package openflow changes a bridge's flows, and compares them with a table, over
// a persistent OpenFlow 1.4 connection (ONF TS-012): a change takes a tenth of a
// millisecond where a process of ovs-ofctl takes several. It speaks as much of the
// protocol as that needs.
//
// The text of a flows.Flow is the model, the wire its second encoding: what is
// encoded here, a dump prints as that text. A term without an encoding is an
// UnknownError, never left out. What ovs-ofctl would leave out in silence, such as
// nw_dst without ip, the switch refuses; where it would not, we do.
//
//	field.go     the fields, by their names in text and on the wire
//	operand.go   values of fields, from text
//	match.go     a flow's match
//	action.go    a flow's actions; tracking.go has ct()
//	flowmod.go   a flow as a message
//	message.go   messages, and how those of the switch are read
//	refusal.go   errors of the switch, by name
//	conn.go      the connection: greeting, echoes, its end
//	bundle.go    Apply: one atomic change
//	compare.go   Holds: are these the switch's flows? flowstats.go has the messages
//
// Start reading at Conn.Apply. To cover another match field, add it to the table
// in field.go; the tests hold every encoding against ovs-ofctl's own bytes and
// against what a real ovs-vswitchd then dumps.
package openflow
