// Package conntrack deletes entries of the kernel's connection tracker that
// the cell's containers or policies no longer stand for: those of an address
// whose container is gone, so that the next owner of the address inherits
// nothing, those of connections that a policy allowed that is gone, so that
// what comes next is judged as new, and those to ports of the host that are
// mapped no longer, or differently. One zone is looked at at a time: the
// overlay's (flows.ZoneOverlay) or the host's own (HostZone). Listing is for who
// only wants to know.
//
// No policy depends on it: every packet is judged by the policies of the moment,
// whatever the tracker remembers. Port mappings do: the kernel looks at them for
// the first packet of a connection alone.
//
// It is ctnetlink, in the network namespace of the process, so it concerns the
// kernel's datapath only: OVS's userspace datapath has a tracker of its own.
package conntrack
