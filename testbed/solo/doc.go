// Package solo runs one cell for a test: weft-controller's server, weft-agent
// and weft-cni as processes, Open vSwitch, real veths and real nftables. It all
// happens in network and mount namespaces of the test's process, on the machine's
// own kernel, which need not have the openvswitch module: the bridge is on OVS's
// userspace datapath, or on its dummy one, which handles no packets and costs
// none.
//
// A package that uses it has Main as its TestMain. Start reading at Start.
package solo
