package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/flows"
)

const goodFile = `cell: cell-1
underlay_ip: 172.31.0.1
controller: https://controller.example:4003
tls: {cert_file: DIR/cell-1.crt, key_file: DIR/cell-1.key, ca_file: DIR/ca.crt}
`

// certificates makes what goodFile names, in a folder.
func certificates(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if _, err := pki.Init(pki.Request{Dir: dir, Cells: []pki.Cell{{ID: "cell-1"}}, ControllerNames: []string{"controller.example"}, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// load loads a file; DIR in it is the folder of the certificates.
func load(t *testing.T, dir, text string) (cellagent.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	config, _, err := loadConfig(command(), path)
	return config, err
}

// TestFileOverDefaults: what the file does not name has its default.
func TestFileOverDefaults(t *testing.T) {
	dir := certificates(t)
	cfg, err := load(t, dir, goodFile+`reconcile_interval: 5s
log_level: debug
datapath: netdev
dns_servers: [169.254.0.2]
host_services: ["udp 169.254.0.3:8301"]
no_masquerade: [10.0.0.0/8, 192.0.2.0/24]
outbound_connections: {rate_per_sec: 100, burst: 1000, dry_run: true}
flow_log: {file: "", denied_per_sec: 3}
answers: {per_cell: 7}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := cellagent.DefaultConfig()
	want.Cell, want.UnderlayIP, want.Controller = "cell-1", "172.31.0.1", "https://controller.example:4003"
	want.TLS = cellagent.TLSFiles{CertFile: dir + "/cell-1.crt", KeyFile: dir + "/cell-1.key", CAFile: dir + "/ca.crt"}
	want.Reconcile, want.LogLevel, want.Datapath = 5*time.Second, "debug", "netdev"
	want.DNSServers = []netip.Addr{netip.MustParseAddr("169.254.0.2")}
	want.HostServices = []flows.Service{{Protocol: flows.UDP, Addr: netip.MustParseAddr("169.254.0.3"), Port: 8301}}
	want.NoMasquerade = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}
	want.Outbound = cellagent.OutboundLimit{RatePerSec: 100, Burst: 1000, DryRun: true}
	want.FlowLog = cellagent.FlowLog{DeniedPerSec: 3, AcceptedUDPPerSec: 100}
	want.Answers = cellagent.AnswerLimits{PerContainer: 100, PerCell: 7}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got  %+v\nwant %+v", cfg, want)
	}
}

// TestAllFaultsAtOnce: each names its key and its value.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := load(t, "", `cell: Cell_1
underlay_ip: fe80::1
controller: http://x
tls: {cert_file: a.crt, key_file: /k, ca_file: ""}
ovsdb: tcp:127.0.0.1:6640
bridge: a-bridge-name-too-long
datapath: kernel
state_dir: state
log_level: loud
reconcile_interval: often
mtu: 1450
socket: [1]
dns_servers: [dns.example]
host_services: ["sctp 169.254.0.3:8301"]
no_masquerade: [10.0.0.1/8, 10.0.0.0]
outbound_connections: {rate_per_sec: 5, dry_run: 1}
flow_log: {file: flows.log, denied_per_sec: -1, accepted_udp_per_sec: "many"}
answers: {per_container: 0, per_cell: 2000000}
`)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, fault := range []string{
		`cell "Cell_1"`, `underlay_ip "fe80::1"`, `controller "http://x"`, `tls.cert_file "a.crt"`, `tls.ca_file ""`,
		`ovsdb "tcp:127.0.0.1:6640"`, `bridge "a-bridge-name-too-long"`, `datapath "kernel"`, `state_dir "state"`,
		`log_level "loud"`, `agent.yaml:10: reconcile_interval "often"`, `mtu: no such key`, `socket "[1]": must be text`,
		`dns_servers "dns.example"`, `host_services "sctp 169.254.0.3:8301"`, `no_masquerade "10.0.0.0"`,
		`outbound_connections.burst "0": must be 1 to 1000000`, `outbound_connections.dry_run "1": must be true or false`,
		`flow_log.file "flows.log"`, `flow_log.denied_per_sec "-1"`, `flow_log.accepted_udp_per_sec "many"`,
		`answers.per_container "0"`, `answers.per_cell "2000000"`,
	} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("the error does not name %s:\n%v", fault, err)
		}
	}
}

// TestUnreadableFiles are faults with the file's name.
func TestUnreadableFiles(t *testing.T) {
	if _, _, err := loadConfig(command(), "/nowhere/agent.yaml"); err == nil || !strings.Contains(err.Error(), "/nowhere/agent.yaml") {
		t.Errorf("absent: %v", err)
	}
	if _, err := load(t, "", "cell: [\n"); err == nil || !strings.Contains(err.Error(), "agent.yaml") {
		t.Errorf("not YAML: %v", err)
	}
}

// run executes a command line.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := command()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// TestCommandLineTeaches: help has a file to start from; mistakes say what to do.
func TestCommandLineTeaches(t *testing.T) {
	help, err := run(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	example := help[strings.Index(help, "  cell: cell-1\n"):strings.Index(help, "  # every other key")]
	text := strings.ReplaceAll(strings.ReplaceAll("\n"+example, "\n  ", "\n"), "/etc/weft", "DIR")
	if _, err := load(t, certificates(t), text); err != nil {
		t.Errorf("the file in --help does not load: %v\n%s", err, example)
	}
	if _, err := run(t); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("without --config: %v", err)
	}
	if _, err := run(t, "status", "--socket", "/nowhere/agent.sock"); err == nil || !strings.Contains(err.Error(), "is weft-agent running?") {
		t.Errorf("status without an agent: %v", err)
	}
	if _, err := run(t, "cleanup"); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("cleanup without --config: %v", err)
	}
	if _, err := run(t, "status", "-o", "xml"); err == nil || !strings.Contains(err.Error(), `"xml"`) {
		t.Errorf("status -o xml: %v", err)
	}
	missing := strings.ReplaceAll(goodFile, "DIR", filepath.Join(t.TempDir(), "no"))
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(missing), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, "--config", path); err == nil || !strings.Contains(err.Error(), "cell-1.crt") {
		t.Errorf("certificate missing: %v", err)
	}
}

// TestStatusForPeople shows what an operator looks for first.
func TestStatusForPeople(t *testing.T) {
	var out bytes.Buffer
	err := printStatus(&out, cellagent.Status{
		Cell: "cell-1", Connected: true, Switch: true, Subnet: "10.255.1.0/24", MTU: 1450, Revision: 7, Applied: 6, Want: 40, Have: 39,
		Missing:  []string{"table=policy, priority=0 actions=drop"},
		Counters: cellagent.Counters{Bundles: 5, OfctlBundles: 2},
		Faults:   []cellagent.Fault{{What: "apply", Text: "switch refused", Since: time.Now()}},
		Findings: []api.Finding{{Check: "ip_forward", Level: api.LevelError, Text: "it is 0", Remedy: "set it to 1"}},
		Endpoints: []cellagent.EndpointStatus{
			{Container: "one", App: "cats", Ready: true}, {Container: "two", Error: "address in use"}, {Container: "three"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	repaired := time.Now().Add(-time.Minute)
	for host, want := range map[*cellagent.HostStatus]string{
		{Reason: "no device"}: "OFF: no device",
		{On: true, Mappings: 3, Repairs: 1, LastRepair: &repaired}:                        "NOT IN STEP, 3 ports mapped, 1 repairs, the last 1m0s ago",
		{On: true, InStep: true, Counters: map[string]uint64{"inet b": 7, "bridge a": 0}}: "in step, 0 ports mapped, 0 repairs; inet b 7",
	} {
		if got := hostLine(*host); got != want {
			t.Errorf("host line %q, expected %q", got, want)
		}
	}
	for _, want := range []string{"NOT IN STEP", "7 wanted, 6 applied", "FAULT apply", "HOST ip_forward, error: it is 0\n  set it to 1\n", "missing: table=policy, priority=0 actions=drop",
		"failed: address in use", "ready", "waiting", "connected", "5 bundles (2 by ovs-ofctl)", "10.255.1.0/24, container MTU 1450"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := printStatus(&out, cellagent.Status{Controller: "https://c:4443", Away: "connection refused", Subnet: "10.255.1.0/24", Denied: "drained"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"https://c:4443: NOT CONNECTED: connection refused\n", "10.255.1.0/24 (NOT GIVEN ANY MORE), container MTU not known\n", "0 wanted, installed is not known\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
