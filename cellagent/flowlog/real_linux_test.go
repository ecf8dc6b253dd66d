package flowlog

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/ownnet"
)

// sh runs a line of shell.
func sh(t *testing.T, script string) {
	t.Helper()
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// denyPort makes what the host has behind weftdeny, with rules that log as the
// cell's do, and returns a function that sends a frame as the bridge does.
func denyPort(t *testing.T) func(Frame) {
	t.Helper()
	sh(t, `ip link set lo up
		ip link add weftreject type bridge
		ip link add weftdeny type veth peer name inside
		ip link set weftdeny master weftreject
		for i in weftreject weftdeny inside; do ip link set $i up; done
		nft add table bridge weft
		nft 'add chain bridge weft denied { type filter hook prerouting priority 0; }'
		nft 'add rule bridge weft denied iifname weftdeny ether type ip log prefix "weft-denied" group 7 snaplen 128 drop'
		nft add table inet weft
		nft 'add chain inet weft out { type filter hook output priority 0; }'
		nft 'add rule inet weft out udp dport 5000 log prefix "weft-limit" group 7 snaplen 128 drop'`)
	inside, err := net.InterfaceByName("inside")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func(f Frame) {
		t.Helper()
		frame := append(append([]byte(nil), f.Header...), f.Payload...)
		for {
			err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: inside.Index})
			if err == nil {
				return
			}
			if err != unix.ENOBUFS {
				t.Fatal(err)
			}
		}
	}
}

// start runs a log with cats (101) elsewhere and dogs (102) here.
func start(t *testing.T, cfg Config, names Names) *Log {
	t.Helper()
	log := New(cfg, Cell{
		Name: "cell-2", Names: names,
		Local: func(a netip.Addr) (Local, bool) {
			return Local{Container: "dogs-0", App: "dogs", Group: 102}, a == dogs
		},
		Cause: func(from, to flows.GroupID, p flows.Protocol, port uint16) (flows.Cookie, bool) {
			return flows.PolicyCookie(7), from == 101 && to == 102 && p == flows.TCP && port == 8080
		},
		Fault: func(what string, err error) { t.Logf("%s: %v", what, err) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); log.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("the log did not end within 5 s")
		}
	})
	return log
}

// events waits for so many lines of a verdict, and returns them.
func events(t *testing.T, path string, n int, verdict string) []Event {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var all []Event
		if f, err := os.Open(path); err == nil {
			for lines := bufio.NewScanner(f); lines.Scan(); {
				var e Event
				if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
					t.Fatalf("%q: %v", lines.Text(), err)
				}
				if e.Verdict == verdict {
					all = append(all, e)
				}
			}
			f.Close()
		}
		if len(all) >= n {
			return all
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d lines after 5 s, want %d: %+v", len(all), n, all)
		}
	}
}

// TestKernelToFile: what the bridge sends to weftdeny and what the host's
// limit logs is in the file, with names and containers.
func TestKernelToFile(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	send := denyPort(t)
	path := filepath.Join(t.TempDir(), "flows.log")
	log := start(t, Config{File: path, DeniedPerSec: 1, AcceptedUDPPerSec: 1},
		&registry{apps: map[flows.GroupID]flows.AppID{101: "cats", 102: "dogs"}})
	tcp := packet(cats, dogs, flows.TCP, ports(40000, 8080)...)
	denied := noticed(flows.Notice{Reason: flows.ReasonPolicy, From: 101, To: 102}, tcp)
	for deadline := time.Now().Add(5 * time.Second); log.Counters().Written == 0; time.Sleep(10 * time.Millisecond) {
		if send(denied); time.Now().After(deadline) {
			t.Fatalf("nothing was logged: %+v", log.Counters())
		}
	}
	e := events(t, path, 1, Denied)[0]
	if e.Time.Before(time.Now().Add(-10 * time.Second)) {
		t.Errorf("time %v", e.Time)
	}
	e.Time, e.Suppressed = noon, 0
	want := Event{Time: noon, Cell: "cell-2", Direction: Ingress, Verdict: Denied, Reason: "policy", Table: "policy", Protocol: "tcp",
		SourceIP: cats, SourcePort: 40000, DestinationIP: dogs, DestinationPort: 8080, SourceApp: "cats", SourceGroup: 101,
		DestinationApp: "dogs", DestinationGroup: 102, DestinationContainer: "dogs-0"}
	if e != want {
		t.Errorf("got  %+v\nwant %+v", e, want)
	}

	send(noticed(flows.Notice{Reason: flows.ReasonPolicyAccepted, From: 101, To: 102}, tcp))
	if e := events(t, path, 1, Accepted)[0]; e.Policy != 7 || e.DestinationContainer != "dogs-0" {
		t.Errorf("accepted: %+v", e)
	}
	// Another identity at the address of a container here is not that container.
	send(noticed(flows.Notice{Reason: flows.ReasonPolicyAccepted, From: 101, To: 103}, tcp))
	if e := events(t, path, 2, Accepted)[1]; e.DestinationApp != "" || e.DestinationContainer != "" || e.Policy != 0 {
		t.Errorf("to an id that nobody has: %+v", e)
	}
	udp, err := net.Dial("udp", "127.0.0.1:5000")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	_, _ = udp.Write([]byte("x")) // the rule's drop is an error
	if e := events(t, path, 1, Limited)[0]; e.Reason != "outbound_connections" || e.DestinationPort != 5000 {
		t.Errorf("limited: %+v", e)
	}
	send(Frame{Header: []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}, Payload: tcp}) // nobody's notice
	for deadline := time.Now().Add(5 * time.Second); log.Counters().Unreadable != 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", log.Counters())
		}
	}
}

// TestFloodIsAccountedFor: of 60,000 frames each is written, suppressed or
// lost, and counted as one of these, while the controller answers nothing.
func TestFloodIsAccountedFor(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	send := denyPort(t)
	path := filepath.Join(t.TempDir(), "flows.log")
	log := start(t, Config{File: path, DeniedPerSec: 1, AcceptedUDPPerSec: 1}, &registry{hangs: true})
	tcp := packet(cats, dogs, flows.TCP, ports(40000, 8080)...)
	denied := noticed(flows.Notice{Reason: flows.ReasonPolicy, From: 101, To: 102}, tcp)
	accepted := noticed(flows.Notice{Reason: flows.ReasonPolicyAccepted, From: 101, To: 102}, tcp)
	total := func() uint64 {
		c := log.Counters()
		return c.Written + c.Suppressed + c.Lost + c.Unreadable
	}
	sent := uint64(0)
	for deadline := time.Now().Add(5 * time.Second); log.Counters().Written == 0; time.Sleep(100 * time.Millisecond) {
		if send(denied); time.Now().After(deadline) {
			t.Fatal("nothing was logged")
		}
	}
	time.Sleep(200 * time.Millisecond) // for the last of them
	base := total()
	start := time.Now()
	for range 30000 {
		send(denied)
		send(accepted)
		sent += 2
	}
	t.Logf("sent %d frames in %v", sent, time.Since(start))
	for deadline := time.Now().Add(10 * time.Second); total()-base < sent; time.Sleep(100 * time.Millisecond) {
		send(denied) // its number shows what was lost before it
		if sent++; time.Now().After(deadline) {
			t.Fatalf("%d of %d are accounted for: %+v", total()-base, sent, log.Counters())
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%+v", log.Counters())
	if c := log.Counters(); total()-base > sent || c.Lost == 0 || c.Written > 30000+20 {
		t.Errorf("%d accounted for of %d sent: %+v", total()-base, sent, c)
	}
}

// TestEndsThoughNobodyReads: a reader of the standard output that has stopped
// keeps no agent from ending.
func TestEndsThoughNobodyReads(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = writer
	defer func() {
		os.Stdout = stdout
		writer.Close()
		reader.Close()
	}()
	log := New(Config{File: Stdout}, Cell{
		Names: &registry{}, Fault: func(string, error) {},
		Local: func(netip.Addr) (Local, bool) { return Local{}, false },
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); log.Run(ctx) }()
	for full := 0; full < 20; { // for so long that it does not move any more
		select {
		case log.queue <- Event{Verdict: Limited}:
			full = 0
		default:
			full++
			time.Sleep(10 * time.Millisecond)
		}
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(5 * parting):
		t.Error("the log waits for its reader")
	}
}
