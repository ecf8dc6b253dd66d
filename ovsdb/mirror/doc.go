// Package mirror is the agent's door to the Open_vSwitch database: a connection
// with a copy of the few columns that the agent watches, which tells of every
// change; the bridge with its tunnel and internal ports, each made to exist
// exactly as described; and the marks by which the agent answers the plugin.
//
// The copy is refreshed from scratch after every loss of the connection, so it
// is never a mixture of before and after. What has to be true of the database,
// and what belongs to whom, is in package ovsdb.
//
// A restart of ovs-vswitchd leaves no trace in the database (it writes only
// what differs), so it cannot be noticed here: hold an OpenFlow connection for
// that.
//
// The package starts slowly and is large, by the library that keeps the copy:
// programs that make one change and end use ovsdb.Conn.
//
// Start reading at Client.
package mirror
