// Package ovsdb is the one door to a cell's Open_vSwitch database: what is kept
// there, in which words, and a plain connection (Conn) by which the CNI plugin
// adds and removes containers' ports. Package mirror has the agent's side: a
// connection that keeps a copy, makes the bridge and sets the marks.
//
// The database is also the cell's memory. A container's Interface row carries
// who it is in external_ids (Port lists them), so an agent that restarts reads
// the truth from here and `ovs-vsctl list interface` shows it to people.
//
//	plugin (Conn)               ovsdb-server               agent (mirror.Client)
//	AddPort ------------------> Interface, external_ids -------> Changes, Ports
//	                            (ofport from ovs-vswitchd)
//	WaitReady <---------------- weft-ready / weft-error <------- MarkReady, MarkFailed, MarkDelayed
//
// What belongs to whom: a Bridge is ours if its external_ids:weft-owner names
// the cell; an Interface is ours if its weft-owner is "weft". Nothing else is
// written: other bridges and their ports belong to other people. Each
// transaction carries a comment that starts with "weft: ", which
// `ovsdb-tool -m show-log conf.db` prints beside what it changed.
//
// The package decides nothing about policy or addresses, opens no OpenFlow
// connection, and a Conn keeps nothing.
//
// Start reading at Conn; model.go has the keys, internal/row the rows.
package ovsdb
