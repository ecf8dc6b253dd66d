// Package doctor tells what of a cell's host will make the overlay fail, each
// finding with its remedy. It lists what is fine, too: who reads it sees what
// was looked at.
//
//	the agent ── Cell ──┐
//	                    ├── Look ── Facts ── Judge ── findings
//	the host, OVSDB ────┘
//
// Each check is a file with three parts: what it is about (fields of Facts), how
// that is looked at, and how it is judged. The table checks (doctor.go) lists
// them in the order in which they are shown. Judge is pure; Look reads, and
// changes nothing: no module is loaded, no packet sent, no setting written.
//
// A finding is made only of what can be told for sure from inside the host. A
// cable, a firewall of the network or another cell are nobody's here.
//
// The agent acts on one check alone: it makes no tunnel on a UDP port that
// somebody else has (TunnelPort.Taken). All others are for people.
//
// Everything acts on the network namespace of the calling thread.
package doctor
