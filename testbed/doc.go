// Package testbed is real cells for tests, as a library: every switch is an
// ovs-vswitchd on the kernel datapath, every agent and the controller are the
// real programs, and containers are attached through libcni by the real
// weft-cni. It runs inside the lab (package lab) and leaves nothing behind.
//
//	                the lab's own network namespace: tests, weft, capture
//	                ┌──────────────────────────────────────────────────┐
//	                │        bridge "underlay" 172.31.0.254/24         │
//	                └──┬──────────────┬──────────────┬──────────────┬──┘
//	         ┌─────────┴──────┐ ┌─────┴──────────┐ ┌─┴─ ─ ─ ┐ ┌─────┴──────────┐
//	netns    │ cell-1         │ │ cell-2         │   cell-3   │ controller     │
//	         │ eth0 172.31.0.1│ │ eth0 172.31.0.2│ │        │ │ eth0           │
//	         │ ovsdb-server   │ │ ovsdb-server   │           │ │   172.31.0.250 │
//	         │ ovs-vswitchd   │ │ ovs-vswitchd   │ │        │ │ weft-controller│
//	         │ weft-agent     │ │ weft-agent     │           │ └────────────────┘
//	         │ br-weft ── vxlan GBP ── br-weft   │ │        │
//	         └──┬─────────┬───┘ └──┬─────────────┘  ─ ─ ─ ─
//	netns     cats-1    cats-2   dogs-1             one namespace per container
//
// Beside them, "outside" (172.31.0.240) is a host on the underlay that is no
// cell: where egress leads to and clients of mapped ports come from. Everything
// with an address is a Station, from which tests send and in which they serve.
//
// A test is a short play: run containers, allow, and say who reaches whom. A
// failing line prints the packet's way through both cells' flow tables, what
// each agent wants and has, and its status (see Bed.explain).
//
// No probe starts a process: in the emulated lab that would cost more than the
// packet. Start reading at Start, Cell.Run and Bed.Reaches.
package testbed
