// Package fleet simulates the agents of many cells over the real protocol: each
// has a certificate of its cell, a TLS connection of its own, a lease, and a
// stream on which it is sent its cell's table; it reports containers and
// acknowledges messages. What it does not have is a switch: of its table it keeps
// the keys and hashes of the fragments, which is what it takes to notice that the
// controller and it do not mean the same.
//
//	weft-testbed bench-scale          weft-testbed fleet             weft-controller
//	   scale.Measure ──commands──────▶ Serve ─▶ Fleet ─┬─ agent ═══════▶ /lease /stream
//	   fleet.Process ◀──answers──────                  ├─ agent ═══════▶ /endpoints
//	                  (JSON, a line each)              └─ …     mTLS     /applied
//
// A fleet in a process of its own takes nothing from the controller that is
// measured but the CPU; Start starts one. Tests of a few cells use New directly.
//
// Start reading at Fleet, then agent.run.
package fleet
