// Package bench measures what people wait for, on one cell that is all real
// but its datapath: weft-controller's and weft-agent's own code, weft-cni as a
// process, and an ovs-vswitchd with OVS's dummy datapath, so that no emulated
// kernel is measured with it. The benchmarks are in its test files; weft-testbed
// bench runs them with those of the other packages and prints the figures.
package bench
