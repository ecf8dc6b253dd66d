// Package ovsdb is the one door to a cell's Open_vSwitch database: a bridge,
// a tunnel port and container ports, each made to exist exactly as described,
// and the marks by which the CNI plugin and the agent talk to each other.
//
// The database is also the cell's memory. A container's Interface row carries
// who it is in external_ids (Port lists them), so an agent that restarts reads
// the truth from here and `ovs-vsctl list interface` shows it to people.
//
//	plugin                      ovsdb-server                     agent
//	AddPort ------------------> Interface, external_ids -------> Changes, Ports
//	        <-- ofport -------- (ovs-vswitchd)
//	WaitReady <---------------- weft-ready / weft-error <------- MarkReady, MarkFailed
//
// What belongs to whom: a Bridge is ours if its external_ids:weft-owner names
// the cell; an Interface is ours if its weft-owner is "weft". Nothing else is
// written: other bridges and their ports belong to other people. Each
// transaction carries a comment that starts with "weft: ", which
// `ovsdb-tool -m show-log conf.db` prints beside what it changed.
//
// The package decides nothing about policy or addresses, opens no OpenFlow
// connection and keeps no state but a copy of the few columns that it watches
// (watched, in model.go). That copy is refreshed from scratch after every loss
// of the connection, so it is never a mixture of before and after.
//
// A restart of ovs-vswitchd leaves no trace in the database (it writes only
// what differs), so it cannot be noticed here: hold an OpenFlow connection for
// that.
//
// Start reading at Client; model.go has the rows.
package ovsdb
