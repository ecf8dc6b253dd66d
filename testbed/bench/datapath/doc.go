// Package datapath measures what Weft's pipeline costs the packets of two
// containers on two cells, as a ratio to the same measured through two dozen
// lines of hand-written stateful flows with the same guarantees for one pair
// of containers (baseline.sh): throughput of one TCP stream, new connections
// per second, and the round trip of a datagram.
//
// Both pairs of cells are on one emulated kernel, where absolute numbers mean
// little and drift. So samples are short and alternate (ours, theirs, theirs,
// ours, ...), each pair of neighbours gives one ratio, and the figure is the
// median of the ratios. Every ratio is defined so that more is better for
// Weft: 1 means "costs nothing beyond the hand-written flows".
//
// Start reading at Measure.
package datapath
