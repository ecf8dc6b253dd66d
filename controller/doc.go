// Package controller knows what is true (policies, group ids, leases from its
// database; endpoints from the agents) and tells each cell its flow table.
//
//	request -> Store.Write: one transaction that validates, allocates ids and
//	                        appends to the change log. Durable from here on
//	        -> follower:    reads the log, in its order
//	        -> State.Step:  pure; which fragments of which cells changed?
//	        -> streams:     merged into what each agent has yet to be sent
//	        -> agent's acknowledgement: what ?wait=applied waits for
//
// State (state.go) reads no clock, no disk and no network, and one goroutine
// owns it (controller.go). A change becomes visible to a cell only through the
// log, so nothing that a cell enforces can be lost by a crash, and nothing is
// acknowledged to an admin before it is durable. Endpoints are soft state: no
// container that starts or stops writes to the database, except the first one
// of an app that has no group id yet.
//
// Group ids go round: assigned, freed into quarantine, released (groups.go says
// when, quarantine.go does it). That is decided from what agents have confirmed
// of their whole tables (link.holds), which is more than what a wait asks.
//
// A cell's lease says whether the others know it (leases.go). It is renewed while
// the cell is connected, and expires when nobody has renewed it for long
// (renewal.go); fleet.go drains cells, and announces those that are back.
//
// The package never opens files or connections: gormstore is the database,
// server listens, pki makes certificates.
package controller
