// Package conntrack deletes entries of the kernel's connection tracker that
// the cell's containers or policies no longer stand for: those of an address
// whose container is gone, so that the next owner of the address inherits
// nothing, and those of connections that a policy allowed that is gone, so that
// what comes next is judged as new. Only the zone of the overlay
// (flows.ZoneOverlay) is looked at.
//
// Nothing depends on it for isolation: every packet is judged by the policies
// of the moment, whatever the tracker remembers.
//
// It is ctnetlink, in the network namespace of the process, so it concerns the
// kernel's datapath only: OVS's userspace datapath has a tracker of its own.
package conntrack
