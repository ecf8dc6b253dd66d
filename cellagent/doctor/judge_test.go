package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/mirror"
)

// healthy is a cell with a tunnel on which nothing is wrong.
func healthy() Facts {
	vtep := netip.MustParseAddr("192.0.2.11")
	return Facts{
		Cell: Cell{
			Name: "cell-1", Bridge: "br-weft", UnderlayIP: vtep, Lease: netip.MustParsePrefix("10.255.1.0/24"), Tunnel: "weftvxlan", UDPPort: 4789,
			Peers: []netip.Addr{netip.MustParseAddr("192.0.2.12")}, HostOn: true,
		},
		Switch:     Switch{Status: ovsdb.Status{Connected: true, Bridge: true, Owner: "cell-1", DatapathID: "0000eeeea9fe0001"}, Kernel: true},
		TunnelPort: TunnelPort{Made: true},
		Underlay:   Underlay{Name: "eth0", MTU: 1500},
		Containers: []Container{{ID: "c1", Port: "cabc", MTU: 1450}},
		Devices:    []Device{{Name: "eth0", Driver: "virtio_net", Features: map[string]bool{tunnelSegmentation: false, checksumGeneric: true}}},
		Returns: []Return{
			{Who: "this cell's containers", Source: netip.MustParseAddr("10.255.1.1"), In: "br-weft", Out: "br-weft", Filter: rpStrict},
			{Who: "the cell at 192.0.2.12", Source: netip.MustParseAddr("192.0.2.12"), To: vtep, In: "eth0", Out: "eth0", Filter: rpStrict},
		},
		Forwarding: Forwarding{On: true},
		Tracking:   Tracking{InStep: true},
	}
}

// alone makes it a cell on the userspace datapath.
func alone(f *Facts) {
	f.Cell.Userspace, f.Switch.DatapathType, f.Switch.Kernel, f.TunnelPort = true, ovsdb.DatapathUserspace, false, TunnelPort{}
}

// hostOff makes it one whose host's side is off.
func hostOff(f *Facts) {
	f.Cell.HostOn, f.Cell.HostOff = false, "bridge br-weft has no network device"
	f.Tracking, f.Forwarding, f.Returns = Tracking{}, Forwarding{}, f.Returns[1:]
}

// hostFails makes it one whose host's side should be on.
func hostFails(f *Facts) {
	hostOff(f)
	f.Cell.HostOff, f.Cell.HostDue = "", true
}

// faulty has its agent say that something is broken.
func faulty(what string) func(*Facts) {
	return func(f *Facts) { f.Cell.Faults = []Fault{{"other", "?"}, {what, "it is broken"}} }
}

// plainVXLAN is somebody else's interface.
var plainVXLAN = mirror.VXLAN{Bridge: "br-other", Name: "vx9", UDPPort: 4789, OFPort: 1}

// sentences are, by check, what can be found, how bad that is, and with which
// words.
var sentences = []struct {
	name   string
	change func(*Facts)
	check  string
	level  api.Level
	text   string
	remedy string // a part of it; "" for none at all
}{
	{"all is well", func(*Facts) {}, Programs, api.LevelOK, "in its PATH", ""},
	{"no ovs-ofctl", func(f *Facts) { f.Missing = f.Cell.programs()[:1] }, Programs, api.LevelError, "no ovs-ofctl in weft-agent's PATH", "apt-get install openvswitch-common"},
	{"no nft", func(f *Facts) { f.Missing = f.Cell.programs() }, Programs, api.LevelError, "no nft in weft-agent's PATH", "apt-get install nftables"},

	{"all is well", func(*Facts) {}, Agent, api.LevelOK, "all that it has to do", ""},
	{"no switch", faulty("switch"), Agent, api.LevelError, "switch: it is broken", "systemctl restart openvswitch-switch"},
	{"no answers", faulty("answers"), Agent, api.LevelWarning, "answers: it is broken", "modprobe nft_reject_bridge"},
	{"something new", faulty("something"), Agent, api.LevelError, "something: it is broken", "journalctl"},

	{"all is well", func(*Facts) {}, Datapath, api.LevelOK, "bridge br-weft is on the kernel's datapath", ""},
	{"a cell alone", func(f *Facts) { alone(f); hostOff(f) }, Datapath, api.LevelOK, "on the userspace datapath, as the agent's file says", ""},
	{"a cell alone whose host fails", func(f *Facts) { alone(f); hostFails(f) }, Datapath, api.LevelWarning, "no mapped port leads to them", "leave datapath out"},
	{"a cell alone with a host", alone, Datapath, api.LevelWarning, "but neither the host nor anything outside, and no mapped port leads to them", "leave datapath out"},
	{"no database", func(f *Facts) { f.Switch = Switch{Kernel: true} }, Datapath, api.LevelError, "ovsdb-server does not answer", "systemctl status openvswitch-switch"},
	{"no module", func(f *Facts) { f.Switch.Kernel = false }, Datapath, api.LevelError, "no Open vSwitch datapath", "modprobe openvswitch"},
	{"no bridge", func(f *Facts) { f.Switch.Bridge = false }, Datapath, api.LevelError, "there is no bridge br-weft", "weft-agent status"},
	{"a bridge of somebody else", func(f *Facts) { f.Switch.Owner = "" }, Datapath, api.LevelError, `bridge br-weft belongs to "", not to this cell, "cell-1"`, "ovs-vsctl set bridge br-weft external_ids:weft-owner=cell-1"},
	{"a bridge that is not made", func(f *Facts) { f.Switch.DatapathID = "" }, Datapath, api.LevelError, "ovs-vswitchd has not made bridge br-weft", "ovs-vswitchd.log"},
	{"a tunnel without group ids", func(f *Facts) { f.Switch.DatapathType = ovsdb.DatapathUserspace }, Datapath, api.LevelError, "VXLAN carries no group id", "stop the containers"},
	{"not alone after all", func(f *Facts) { alone(f); f.Switch.DatapathType = "system" }, Datapath, api.LevelError, "the agent's file says datapath: netdev", "stop the containers"},
	{"half-made, and not alone after all", func(f *Facts) { alone(f); f.Switch.DatapathType, f.Switch.DatapathID = "", "" }, Datapath, api.LevelError, "the agent's file says datapath: netdev", "stop the containers"},

	{"all is well", func(*Facts) {}, FlowRestoreWait, api.LevelOK, "is not set", ""},
	{"no database", func(f *Facts) { f.Switch = Switch{} }, FlowRestoreWait, api.LevelWarning, "ovsdb-server does not answer", "systemctl status"},
	{"forgotten", func(f *Facts) { f.Switch.FlowRestoreWait = true }, FlowRestoreWait, api.LevelError, "handles no packet of a connection that is new to it", "ovs-vsctl remove open_vswitch . other_config flow-restore-wait"},

	{"all is well", func(*Facts) {}, TunnelUDPPort, api.LevelOK, "alone has UDP 4789", ""},
	{"a cell alone", alone, TunnelUDPPort, api.LevelOK, "there is no tunnel", ""},
	{"no lease", func(f *Facts) { f.Cell.UDPPort = 0 }, TunnelUDPPort, api.LevelWarning, "leased the cell nothing yet", "weft-agent status"},
	{"no database", func(f *Facts) { f.Switch = Switch{} }, TunnelUDPPort, api.LevelWarning, "ovsdb-server does not answer", "systemctl status"},
	{"another bridge", func(f *Facts) { f.TunnelPort = TunnelPort{Ports: []mirror.VXLAN{plainVXLAN}} }, TunnelUDPPort, api.LevelError,
		"UDP 4789 belongs to port vx9 of bridge br-other (a VXLAN without group policy)", "ovs-vsctl del-port br-other vx9"},
	{"an interface of the kernel", func(f *Facts) { f.TunnelPort = TunnelPort{Links: []Link{{Name: "flannel.1", Holds: true}}} }, TunnelUDPPort, api.LevelError,
		"belongs to the kernel's VXLAN interface flannel.1", "ip link del flannel.1"},
	{"a process", func(f *Facts) {
		f.TunnelPort = TunnelPort{Sockets: []Socket{{Address: "0.0.0.0:4789", PID: 77, Process: "vxland"}}}
	}, TunnelUDPPort, api.LevelError,
		"belongs to process vxland (pid 77), which listens on 0.0.0.0:4789", "stop vxland"},
	{"another namespace", func(f *Facts) { f.TunnelPort = TunnelPort{Sockets: []Socket{{Address: "0.0.0.0:4789"}}} }, TunnelUDPPort, api.LevelError,
		"whose interface is in another network namespace", "docker network ls"},
	{"two of them", func(f *Facts) {
		f.TunnelPort = TunnelPort{Ports: []mirror.VXLAN{plainVXLAN}, Links: []Link{{Name: "flannel.1", Holds: true}}}
	}, TunnelUDPPort, api.LevelError,
		"vx9 of bridge br-other (a VXLAN without group policy) and to the kernel's VXLAN interface flannel.1", "ip link del flannel.1; or set another vxlan_port"},
	{"no bridge", func(f *Facts) { f.TunnelPort = TunnelPort{}; f.Switch.DatapathID = "" }, TunnelUDPPort, api.LevelWarning, "not known: bridge br-weft", "see to the finding on datapath"},
	{"somebody else's bridge", func(f *Facts) { f.TunnelPort = TunnelPort{}; f.Switch.Owner = "cell-9" }, TunnelUDPPort, api.LevelWarning, "not known: bridge br-weft", "see to the finding on datapath"},
	{"nobody, and yet", func(f *Facts) { f.TunnelPort = TunnelPort{Error: "no space"} }, TunnelUDPPort, api.LevelError, "ovs-vswitchd says no space", "weft-agent status"},
	{"nobody yet", func(f *Facts) { f.TunnelPort = TunnelPort{Links: []Link{{Name: "flannel.1"}}} }, TunnelUDPPort, api.LevelError, "UDP 4789 is nobody's", "weft-agent status"},
	{"another bridge lost", func(f *Facts) { f.TunnelPort.Ports = []mirror.VXLAN{plainVXLAN} }, TunnelUDPPort, api.LevelWarning,
		"the cell's tunnel has UDP 4789, but port vx9 of bridge br-other (a VXLAN without group policy) wants it, too", "ovs-vsctl del-port br-other vx9"},
	{"an interface that is down", func(f *Facts) { f.TunnelPort.Links = []Link{{Name: "flannel.1"}} }, TunnelUDPPort, api.LevelWarning,
		"flannel.1 wants it, too", "ip link del flannel.1"},

	{"all is well", func(*Facts) {}, UnderlayMTU, api.LevelOK, "eth0 carries 192.0.2.11; its MTU of 1500 bytes leaves 1450 for containers", ""},
	{"jumbo frames", func(f *Facts) { f.Underlay.MTU = 9000 }, UnderlayMTU, api.LevelOK, "leaves 8950", ""},
	{"OpenStack's networks", func(f *Facts) { f.Underlay.MTU = 1450; f.Containers = nil }, UnderlayMTU, api.LevelOK, "leaves 1400", ""},
	{"a tunnel in a tunnel", func(f *Facts) { f.Underlay.MTU = 1449; f.Containers = nil }, UnderlayMTU, api.LevelWarning, "leaves 1399 for containers, less than the usual 1400", "ip link set dev eth0 mtu 1500"},
	{"too little", func(f *Facts) { f.Underlay.MTU = 1329 }, UnderlayMTU, api.LevelError, "underlay MTU 1329 leaves 1279 bytes for containers, less than 1280", "ip link set dev eth0 mtu 1500"},
	{"just enough", func(f *Facts) { f.Underlay.MTU = 1330; f.Containers = nil }, UnderlayMTU, api.LevelWarning, "leaves 1280", "ip link set"},
	{"no such address", func(f *Facts) { f.Underlay = Underlay{} }, UnderlayMTU, api.LevelError, "no interface of this host carries underlay_ip 192.0.2.11", "ip -4 addr"},
	{"a loopback", func(f *Facts) { f.Underlay = Underlay{Name: "lo", MTU: 65536, Inner: true} }, UnderlayMTU, api.LevelWarning, "says nothing of the network: containers get 65485", "set mtu in weft-cni's network configuration"},
	{"a loopback alone", func(f *Facts) { alone(f); f.Underlay = Underlay{Name: "lo", MTU: 65536, Inner: true} }, UnderlayMTU, api.LevelOK, "leaves 65485", ""},
	{"a container of before", func(f *Facts) { f.Underlay.MTU = 1460 }, UnderlayMTU, api.LevelError,
		"do not fit into the tunnel, which has room for 1410 bytes: c1 (port cabc, 1450 bytes)", "start them anew, with the MTU of 1410 bytes; or ip link set dev eth0 mtu 1500"},
	{"many of them", func(f *Facts) {
		f.Containers = make([]Container, 8)
		f.Containers[7] = Container{"c8", "p", 9000}
		large(f)
	}, UnderlayMTU, api.LevelError,
		" and 3 more", "mtu 9050"},

	{"all is well", func(*Facts) {}, Offload, api.LevelOK, "eth0 (driver virtio_net: tx-udp_tnl-segmentation off, tx-checksum-ip-generic on)", ""},
	{"no driver", func(f *Facts) { f.Devices = []Device{{Name: "lo"}} }, Offload, api.LevelOK, "lo (driver none: no offload)", ""},
	{"a cell alone", alone, Offload, api.LevelOK, "there is no tunnel", ""},
	{"no underlay", func(f *Facts) { f.Devices = nil }, Offload, api.LevelWarning, "no interface carries", "set underlay_ip"},
	{"vmxnet3", func(f *Facts) {
		f.Devices = append(f.Devices, Device{Name: "ens192", Driver: "vmxnet3", Features: map[string]bool{tunnelSegmentation: true, tunnelCsumSegmentation: true}})
	}, Offload, api.LevelWarning,
		"ens192 (driver vmxnet3) has tx-udp_tnl-segmentation and tx-udp_tnl-csum-segmentation on", "ethtool -K ens192 tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off"},
	{"vmxnet3 after that", func(f *Facts) {
		f.Devices = []Device{{Name: "ens192", Driver: "vmxnet3", Features: map[string]bool{tunnelSegmentation: false, tunnelCsumSegmentation: false}}}
	}, Offload, api.LevelOK, "nothing is known against ens192", ""},

	{"all is well", func(*Facts) {}, ReversePath, api.LevelOK, "1 on br-weft, 1 on eth0", ""},
	{"nothing concerned", func(f *Facts) { f.Returns = nil }, ReversePath, api.LevelOK, "no interface is concerned", ""},
	{"an asymmetric underlay", func(f *Facts) { f.Returns[1].Out = "eth1" }, ReversePath, api.LevelWarning,
		"packets of the cell at 192.0.2.12 come in by eth0, the route back to 192.0.2.12 leaves by eth1, and so rp_filter 1 drops them", "sysctl -w net.ipv4.conf.eth0.rp_filter=2"},
	{"an asymmetric underlay, loose", func(f *Facts) { f.Returns[1].Out, f.Returns[1].Filter = "eth1", rpLoose }, ReversePath, api.LevelOK, "2 on eth0", ""},
	{"many cells", func(f *Facts) { f.Returns[1].Out = "eth1"; f.Returns = append(f.Returns, f.Returns[1], f.Returns[1]) }, ReversePath, api.LevelWarning,
		"packets of the cell at 192.0.2.12 and 2 more come in by eth0", "sysctl -w net.ipv4.conf.eth0.rp_filter=2"},
	{"no route, loose", func(f *Facts) { f.Returns[1].Out, f.Returns[1].Filter = "", rpLoose }, ReversePath, api.LevelWarning, "does not exist", "rp_filter=2"},
	{"no filter", func(f *Facts) { f.Returns[1].Out, f.Returns[1].Filter = "", rpOff }, ReversePath, api.LevelOK, "0 on eth0", ""},
	{"only a setting", func(f *Facts) { f.Returns = []Return{{In: "eth0", Filter: rpStrict}} }, ReversePath, api.LevelOK, "1 on eth0", ""},
	{"the lease led elsewhere", func(f *Facts) { f.Returns[0].Out = "eth0" }, ReversePath, api.LevelError, "packets of this cell's containers come in by br-weft", "ip route get 10.255.1.1"},

	{"all is well", func(*Facts) {}, IPForward, api.LevelOK, "net.ipv4.ip_forward is 1", ""},
	{"the host's side is off", hostOff, IPForward, api.LevelOK, "not needed", ""},
	{"the host's side fails", hostFails, IPForward, api.LevelWarning, "not known: weft-agent has not made the host's side", "first"},
	{"taken back", func(f *Facts) { f.Forwarding.On = false }, IPForward, api.LevelError, "net.ipv4.ip_forward is 0", "grep -r ip_forward /etc/sysctl.d"},
	{"taken back for some", func(f *Facts) { f.Forwarding.Off = []string{"br-weft", "eth0"} }, IPForward, api.LevelError, "forwarding is 0 on br-weft and eth0",
		"sysctl -w net.ipv4.conf.br-weft.forwarding=1 net.ipv4.conf.eth0.forwarding=1"},

	{"all is well", func(*Facts) {}, Notrack, api.LevelOK, "tracks nothing of UDP 4789", ""},
	{"a cell alone", alone, Notrack, api.LevelOK, "no tunnel to track", ""},
	{"a cell alone, changed rules", func(f *Facts) { alone(f); f.Tracking.InStep = false }, Notrack, api.LevelError, "not as weft-agent loaded them", "nft monitor"},
	{"no tunnel", func(f *Facts) { hostOff(f); f.TunnelPort.Made = false }, Notrack, api.LevelOK, "no tunnel to track", ""},
	{"changed rules", func(f *Facts) { f.Tracking.InStep = false }, Notrack, api.LevelError, "not as weft-agent loaded them", "nft monitor"},
	{"the host's side is off", hostOff, Notrack, api.LevelWarning, "br-weft has no network device", "in the network namespace of ovs-vswitchd"},
	{"the host's side fails", hostFails, Notrack, api.LevelWarning, "not known: weft-agent has not made the host's side", "first"},
	{"entries of before", func(f *Facts) { f.Tracking.Entries = 3 }, Notrack, api.LevelWarning, "3 entries of UDP 4789", "conntrack -D -p udp --orig-port-dst 4789"},

	{"all is well", func(*Facts) {}, ForwardPolicy, api.LevelOK, "no other firewall", ""},
	{"the host's side is off", hostOff, ForwardPolicy, api.LevelOK, "not needed", ""},
	{"the host's side fails", hostFails, ForwardPolicy, api.LevelWarning, "not known: weft-agent has not made the host's side", "first"},
	{"docker", func(f *Facts) { f.Closed = []string{"chain FORWARD of table ip filter"} }, ForwardPolicy, api.LevelWarning, "chain FORWARD of table ip filter drops what is forwarded", "iptables -I DOCKER-USER -i br-weft -j ACCEPT"},
}

// large gives all containers but the last an MTU that does not fit.
func large(f *Facts) {
	for i := range f.Containers[:7] {
		f.Containers[i].MTU = 1500
	}
}

// TestJudge: what is wrong has a remedy, and what is not has none.
func TestJudge(t *testing.T) {
	for _, s := range sentences {
		f := healthy()
		s.change(&f)
		found := false
		for _, x := range Judge(f) {
			if x.Check != s.check || !strings.Contains(x.Text, s.text) {
				continue
			}
			found = true
			if x.Level != s.level || !strings.Contains(x.Remedy, s.remedy) || (x.Remedy == "") != (s.remedy == "") || (x.Remedy == "") != (x.Level == api.LevelOK) {
				t.Errorf("%s, %s: %+v\nwant level %s, and a remedy with %q", s.check, s.name, x, s.level, s.remedy)
			}
		}
		if !found {
			t.Errorf("%s, %s: no finding with %q in\n%+v", s.check, s.name, s.text, Judge(f))
		}
	}
}

// TestEveryCheckSpeaks: all of them say that they are well, each by its name,
// in their order; and that they could not look.
func TestEveryCheckSpeaks(t *testing.T) {
	findings, blind := Judge(healthy()), healthy()
	blind.Failed = map[string]error{}
	for _, c := range checks {
		blind.Failed[c.name] = errors.New("no permission")
	}
	unseen := Judge(blind)
	if len(findings) != len(checks) || len(unseen) != len(checks) {
		t.Fatalf("%d and %d findings of %d checks", len(findings), len(unseen), len(checks))
	}
	tested := map[string]bool{}
	for _, s := range sentences {
		tested[s.check] = true
	}
	for i, c := range checks {
		if f := findings[i]; f.Check != c.name || f.Level != api.LevelOK || f.Remedy != "" {
			t.Errorf("%s on a healthy cell: %+v", c.name, f)
		}
		if f := unseen[i]; f.Check != c.name || f.Level != api.LevelWarning || !strings.Contains(f.Text, "no permission") || f.Remedy == "" {
			t.Errorf("%s that could not look: %+v", c.name, f)
		}
		if !tested[c.name] {
			t.Errorf("%s is not in sentences", c.name)
		}
	}
}

// TestNothingIsKnown: facts that nobody has seen make no false alarm of what
// depends on others, and no panic.
func TestNothingIsKnown(t *testing.T) {
	for _, f := range Judge(Facts{}) {
		if f.Check == Datapath || f.Check == UnderlayMTU {
			continue // these are the ones that tell
		}
		if f.Level == api.LevelError {
			t.Errorf("%+v", f)
		}
	}
}

// TestChecksAreDocumented: the table for operators has a row for each, and the
// example of an installation is what a healthy cell says.
func TestChecksAreDocumented(t *testing.T) {
	table, err1 := os.ReadFile("../../docs/debugging.md")
	example, err2 := os.ReadFile("../../docs/install.md")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for _, f := range Judge(healthy()) {
		if !strings.Contains(string(table), "\n| `"+f.Check+"` |") {
			t.Errorf("docs/debugging.md has no row of check %s", f.Check)
		}
		if line := fmt.Sprintf("\n%-17s  ok     %s\n", f.Check, f.Text); !strings.Contains(string(example), line) {
			t.Errorf("docs/install.md does not show%s", line)
		}
	}
}

// TestContainerMTU: what the tunnel leaves, or how much it takes.
func TestContainerMTU(t *testing.T) {
	for underlay, want := range map[int]int{1500: 1450, 9000: 8950, 1330: 1280, 65536: 65485, 1 << 20: 65485} {
		if got, err := ContainerMTU(underlay); got != want || err != nil {
			t.Errorf("underlay %d: %d, %v, want %d", underlay, got, err, want)
		}
	}
	if _, err := ContainerMTU(1329); err == nil || !strings.Contains(err.Error(), "at least 1330") {
		t.Errorf("1329: %v", err)
	}
}

// TestFailedLookHasItsOwnRemedy: what is in the way of one is not what is in the
// way of another.
func TestFailedLookHasItsOwnRemedy(t *testing.T) {
	for want, err := range map[string]error{
		"apt-get install nftables": fmt.Errorf("the program nft is missing: %w", exec.ErrNotFound),
		"as root, in the host's":   fmt.Errorf("conntrack: %w", syscall.EPERM),
		"too slow":                 fmt.Errorf("nft: %w", context.DeadlineExceeded),
		"nft list ruleset":         fmt.Errorf("nft: %w: no such table", &exec.ExitError{}),
		"openvswitch-switch":       ovsdb.ErrNotConnected,
		"what the error names":     fmt.Errorf("list the kernel's netlink families: %w", syscall.EPROTONOSUPPORT),
	} {
		f := healthy()
		f.Failed = map[string]error{Notrack: err}
		findings := Judge(f)
		i := slices.IndexFunc(findings, func(x api.Finding) bool { return x.Check == Notrack })
		if got := findings[i]; got.Level != api.LevelWarning || !strings.Contains(got.Remedy, want) || !strings.Contains(got.Text, err.Error()) {
			t.Errorf("%v: %+v, want the remedy %q", err, got, want)
		}
	}
}
