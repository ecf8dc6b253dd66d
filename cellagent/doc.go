// Package cellagent makes one cell's bridge match what the controller wants.
//
// The loop, run by one goroutine that owns everything the agent knows (agent.go):
//
//	lease      ask the controller for the cell's overlay subnet          lease.go
//	configure  bridge, tunnel port, table names                          configure.go
//	tell       weft-cni whether, and with what, it may start containers  admission.go, subnetfile.go
//	observe    container ports in OVSDB -> endpoints                     ports.go, endpoints.go, numbers.go
//	host       rules, devices and route of the host, beside the loop     host.go, hostnet/
//	examine    what of the host will make the overlay fail               checkup.go, doctor/
//	hello      report all endpoints, open the stream                     uplink.go, outbox.go
//	want       snapshot, then deltas, each checked against its hash      desired.go
//	install    want minus what may not run here -> one atomic bundle     reconcile.go, switch.go, openflow/
//	remember   the applied table, on disk, for the next OVS restart      lastgood.go
//	confirm    acknowledge to the controller, mark ports ready, or why not  outbox.go, confirm.go
//	repeat     on a message, an OVSDB change, a lost OpenFlow connection    link.go
//
// The agent fails static. Nothing is deleted from the bridge before a complete
// table has arrived; a controller that is away, a stream that lies about its
// hash, a flow that the switch refuses and the agent's own end change nothing
// that works. Two things alone take flows away without the controller: a
// container's port that is gone from OVSDB (its identity must not pass to the
// next user of the OpenFlow port), and drift from the last complete table.
//
// The agent trusts no memory of its own. What runs on the cell is read from
// OVSDB, what the switch holds is asked of the switch; the file of the last good
// table is used only when the switch holds just that, or has lost its flows.
//
// The package never decides who may talk to whom, and never touches a bridge
// or port that does not carry our owner key.
package cellagent
