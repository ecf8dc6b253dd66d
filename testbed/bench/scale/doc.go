// Package scale measures what one weft-controller takes when its fleet is large:
// by default 1,000 cells with 100 containers each, 20,000 apps and 60,000
// policies. The controller is a process, on SQLite; the cells' agents are
// simulated, over the real protocol, in another (package fleet). What is measured
// is therefore the controller and the wire, not switches, and on one machine both
// share the CPUs.
//
// Start reading at Measure.
package scale
