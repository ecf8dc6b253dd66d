// Package weft builds a scene in Weft and measures it, in the way in which
// package ovn does with OVN: weft-controller and weft-agent are processes, the
// measured cell's ovs-vswitchd is real, with OVS's dummy datapath, and its
// containers are the rows that weft-cni writes. The other cells have leases and
// have reported their containers over the real internal protocol; then they are
// away, as OVN's are, which nobody serves.
//
// It runs in a network namespace of its own: an agent writes rules of its host.
//
// Start reading at Start.
package weft
