// Package flowlog writes a line of JSON for each packet that the cell denied,
// and for each connection whose acceptance is to be logged.
//
// The bridge sends such packets to the host by the port weftdeny, in frames
// whose MAC addresses say who sent them to whom and why (flows.Notice). The
// host's nftables logs them to NFLOG group 7, limited per container; this
// package listens there:
//
//	socket --decode--> limit --bounded queue--> names, cause --> file
//
// What identifies an app is the group id in the notice, never an address.
//
// Nothing here holds up anything else, and memory is bounded: a flood is
// limited per sender before the queue; what the queue, the socket or the file
// cannot take is dropped and counted; a controller that does not answer costs
// an event its names, after at most a second, and the next ones nothing.
package flowlog
