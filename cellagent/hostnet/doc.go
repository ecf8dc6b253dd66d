// Package hostnet is the host's own side of a cell: how containers leave the
// overlay and are reached from outside, what they may use of the host, and who
// answers and logs what the bridge denied.
//
//	outside            host                                        bridge
//	          DNAT     ┌ table inet weft ┐  route to the lease
//	client ─────────>  │ nat, filter     │ ───────────────> br-weft LOCAL ─> container
//	       <─────────  │ masquerade      │ <───────────────
//	                   └─────────────────┘
//	                   ┌ table bridge weft ┐
//	          log  <── │ limit, NFLOG      │ <── weftdeny (port 2) <── denied packets
//	                   │ reject            │ ──> weftdeny ──> TCP reset, port unreachable
//	                   └───────────────────┘  on the Linux bridge weftreject
//
// State says what is wanted; it is compiled by pure functions to the text of
// two nftables tables (docs/decisions/0009-nftables-by-text.md says why text),
// and Host makes the running system so, compares it and repairs it. Nothing
// outside these two tables, the devices br-weft, weftdeny and weftreject, one
// route, one neighbour and ip_forward is ever touched. Our base chains accept
// by default and drop only what comes from or goes to br-weft.
//
// Deliberately absent: any effect on other tables. Another firewall that drops
// forwarded packets (docker sets such a policy) still drops them, and what
// another's rule maps to a container is let in.
//
// Everything acts on the network namespace of the calling thread. Start reading
// at State, then inet.go and bridge.go, which read like the tables do.
package hostnet
