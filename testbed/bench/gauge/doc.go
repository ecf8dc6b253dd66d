// Package gauge is what the comparison with OVN measures with, the same for
// both sides: a private Open vSwitch whose datapath is OVS's dummy one, the CPU
// time and memory of processes, the number of flows in a switch by a connection
// that stays open, and percentiles. It knows neither side.
package gauge
