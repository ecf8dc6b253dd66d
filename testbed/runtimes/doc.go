// Package runtimes is the proof that real container runtimes plug containers in:
// podman, containerd (by ctr, and by the CRI that kubelets call) and cnitool as
// Debian and the CNI project have them, and calls exactly as Cloud Foundry's
// garden-external-networker makes them. Its tests run on a real cell of their own:
//
//	the machine's kernel; mount, pid and network namespaces of the test (lab.RunTestsHere)
//	┌─────────────────────────────────────────────────────────────────────────┐
//	│ weft-controller     podman, containerd, cnitool          netns outside  │
//	│ weft-agent             │ run weft-cni, found in          ┌───────────┐  │
//	│ ovsdb-server           │ /opt/cni/bin by                 │ 192.0.2.9 │  │
//	│ ovs-vswitchd           v /etc/cni/net.d                  └─────┬─────┘  │
//	│ br-weft (userspace) ── eth0 of containers          192.0.2.1 under0     │
//	└─────────────────────────────────────────────────────────────────────────┘
//
// Everything is where it is on a cell: the namespaces have a /run of their own,
// and what is written to /etc, /opt and /var goes there, too. Nothing is left on
// the machine, however the run ends: the kernel kills the processes and takes the
// rest with them.
//
// The kernel needs no openvswitch: the cell is alone, on OVS's userspace
// datapath, with real veths, nftables and packets. What that lacks is the packet
// mark between host and bridge, which carry_test.go makes up for.
//
// What the commands print is the documentation: the transcripts of docs/cni.md are
// these tests', and `go test ./testbed/runtimes -update` writes them. Start
// reading at TestPodman.
package runtimes
