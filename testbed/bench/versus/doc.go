// Package versus compares Weft with OVN: the same scenes in both, one after the
// other on the same machine in one run, with the ratios. It writes the tables and
// charts of docs/performance.md, in which the newest OVN stands beside the one
// that Debian ships, and that was measured.
//
// Start reading at Run.
package versus
