// Package cni is the CNI plugin: it plugs a container into the cell's bridge,
// or undoes it completely. It talks to no daemon of ours, but that STATUS looks
// whether the agent listens. What it needs to know the agent has written to a
// file (the lease), and what it did and wants done is in the switch's database,
// where the agent answers:
//
//	 container's network namespace          the cell
//	+------------------------------+
//	| eth0  10.255.1.5/32          |   veth
//	|       ee:ee:0a:ff:01:05      |=========== c9f2a1b3c4d5e  port 105 of br-weft
//	| default via 169.254.0.1 -----+-> nobody has that address: the bridge
//	+------------------------------+   itself answers ARP for it
//
// What the runtime wants for the container (runtimeConfig) is told to the agent
// on its port, in the transaction that adds it: ports that shall open on the
// cell's address (weft-ports), where it may connect to out of the overlay
// (weft-egress), and, for Open vSwitch itself, how much it may send and receive.
// The agent marks the port ready when all of it works, and ADD returns then.
//
// ADD plans first (Plan is pure: arguments in, Attachment or a refusal out,
// nothing touched), then takes a list of steps, each with its undo:
//
//	reserve an address of the lease         address.go, store.go, rest.go
//	create the veth, bring its ends up      attach_linux.go
//	add the port with who it is             ovsdb.AddPort
//	give the container's end its address    attach_linux.go
//	wait until the agent says that the switch holds the endpoint's flows
//	return the result to the runtime        result.go
//
// A step that fails leaves nothing of its own, and those before it are undone
// in reverse. DEL needs the container id and the interface's name only, and
// works with the agent and the controller down and the namespace gone; running
// it again changes nothing. It keeps the address reserved until the port is out
// of the switch's database, so that no two endpoints ever have one address, and
// then lets it rest. Nothing that is another container's is taken away, also
// where two have the same name for their host ends (whose.go). GC does as DEL for
// whatever the runtime does not know.
//
// The plugin may die after any step: what it leaves, DEL and GC find
// (testbed/crash holds that).
//
// Start reading at Plugin.Add in command.go.
package cni
