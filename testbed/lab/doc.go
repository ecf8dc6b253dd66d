// Package lab runs a program on a Linux kernel that has Open vSwitch, with
// nothing of it left on the machine afterwards, however the run ends.
//
//	machine                      lab kernel (QEMU, emulated)          payload
//	Run(job) ── boots ──> initramfs ── switch_root ──> BecomeInit ──> job.Args
//	   ^                  9p: machine's root, read-only     │
//	   └── exit status <── 9p: a small writable share <─────┘
//
// The payload sees the machine's own file system (so its own binary, Open
// vSwitch and every tool are where they always are); what it writes goes to
// memory. Where the machine's kernel has openvswitch itself there is no
// emulation: the payload runs in mount, pid and network namespaces of its own.
// So does a job that is to run Here, whatever the kernel has.
//
// The same binary is the program outside, the lab's process 1 and the payload:
// main (or TestMain) calls BecomeInit before anything else.
//
// The package never uses KVM, never loads a module into the machine's kernel
// unless that kernel offers openvswitch, and gives the lab no network device
// that reaches anything. Start reading at Run.
package lab
