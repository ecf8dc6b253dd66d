package cellagent

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/weft-sdn/weft/debug"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/settings"
)

// Config is everything that an Agent has to be told. The yaml keys of
// weft-agent's file are given at each field.
type Config struct {
	Cell         string        // cell: 1 to 63 of a-z, 0-9, '-'; the common name of the certificate
	UnderlayIP   string        // underlay_ip: IPv4 address of the tunnel end (VTEP), on an interface of this host
	Controller   string        // controller: https URL of the controller's internal listener
	TLS          TLSFiles      // tls
	OVSDB        string        // ovsdb: unix:PATH of ovsdb-server
	OVSRunDir    string        // ovs_rundir: folder of the bridges' management sockets
	OVSOfctl     string        // ovs_ofctl: program, looked up in PATH when it has no slash
	Bridge       string        // bridge: at most 15 bytes
	Datapath     string        // datapath: "" for the kernel's, "netdev" for a cell alone without tunnel
	StateDir     string        // state_dir: lease and last good table
	SubnetFile   string        // subnet_file: what weft-cni reads
	Socket       string        // socket: status, answers weft-agent status
	SingleIPOnly bool          // single_ip_only: the lease is one address, and no container runs here
	AddressRest  time.Duration // address_rest: for how long an address that a container gave back is nobody's, 0 to 24h
	LogLevel     string        // log_level: debug, info, warn or error
	DebugListen  string        // debug_listen: loopback host:port of package debug; "": none
	Reconcile    time.Duration // reconcile_interval: between full comparisons with switch and host, at least 100ms

	DNSServers   []netip.Addr    // dns_servers: IPv4 addresses of this host whose port 53 its containers may use, tcp and udp
	HostServices []flows.Service // host_services: "PROTOCOL ADDRESS:PORT" of this host that its containers may use
	NoMasquerade []netip.Prefix  // no_masquerade: networks out of the overlay that see the containers' own addresses
	Outbound     OutboundLimit   // outbound_connections
	FlowLog      FlowLog         // flow_log
	Answers      AnswerLimits    // answers

	BootID string // of the running kernel; "" means that it is read from /proc
}

// TLSFiles are PEM files: the agent's certificate and key, and the authority
// that signed the controller's certificate.
type TLSFiles struct {
	CertFile string // tls.cert_file
	KeyFile  string // tls.key_file
	CAFile   string // tls.ca_file
}

// OutboundLimit bounds new TCP connections out of the overlay, for each
// container, destination address and port. The zero value is no limit.
type OutboundLimit struct {
	RatePerSec int  // outbound_connections.rate_per_sec: 0 (no limit) to 1000000
	Burst      int  // outbound_connections.burst: 1 to 1000000 where there is a rate
	DryRun     bool // outbound_connections.dry_run: log what is over the limit and let it pass
}

// FlowLog is where and how much denied and accepted traffic is logged.
type FlowLog struct {
	File              string // flow_log.file: absolute path, "-" for standard output, "" for no log
	DeniedPerSec      int    // flow_log.denied_per_sec: lines per container, 0 to 1000000
	AcceptedUDPPerSec int    // flow_log.accepted_udp_per_sec: lines per cell, 0 to 1000000
}

// AnswerLimits bound the TCP resets and ICMP errors by which denied traffic is
// answered. What is beyond is dropped and counted.
type AnswerLimits struct {
	PerContainer int // answers.per_container: per second, to one sender, 1 to 1000000
	PerCell      int // answers.per_cell: per second, 1 to 1000000
}

// DatapathAlone is the datapath of a cell without tunnel: OVS's userspace
// datapath cannot carry the group id in VXLAN.
const DatapathAlone = ovsdb.DatapathUserspace

// DefaultConfig is the configuration of a cell whose file names only what has
// no default: cell, underlay_ip, controller and tls.
func DefaultConfig() Config {
	return Config{
		OVSDB:       "unix:/run/openvswitch/db.sock",
		OVSRunDir:   "/var/run/openvswitch",
		OVSOfctl:    "ovs-ofctl",
		Bridge:      "br-weft",
		StateDir:    "/var/lib/weft/agent",
		SubnetFile:  "/run/weft/subnet.json",
		Socket:      "/run/weft/agent.sock",
		AddressRest: time.Minute,
		LogLevel:    "info",
		Reconcile:   30 * time.Second,
		FlowLog:     FlowLog{File: "/var/log/weft/flows.log", DeniedPerSec: 1, AcceptedUDPPerSec: 100},
		Answers:     AnswerLimits{PerContainer: 100, PerCell: 1000},
	}
}

// ManagementSocket is the path of the socket on which ovs-vswitchd speaks
// OpenFlow for the bridge.
func (c Config) ManagementSocket() string {
	return filepath.Join(c.OVSRunDir, c.Bridge+".mgmt")
}

// Level is LogLevel as slog has it; info if it is not valid.
func (c Config) Level() slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(c.LogLevel)) != nil {
		return slog.LevelInfo
	}
	return level
}

var (
	cellName   = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)
	bridgeName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$`)
	logLevels  = map[string]bool{"debug": true, "info": true, "warn": true, "error": true}
)

// Validate reports all faults at once, each a settings.Fault with its key, its
// value and what the value must be. It opens no file.
func (c Config) Validate() error {
	var faults []error
	fault := func(key string, value any, must string) {
		faults = append(faults, settings.Fault{Key: key, Value: fmt.Sprint(value), Must: must})
	}
	if !cellName.MatchString(c.Cell) {
		fault("cell", c.Cell, "must be 1 to 63 characters of a-z, 0-9 and '-'")
	}
	if ip, err := netip.ParseAddr(c.UnderlayIP); err != nil || !ip.Is4() || ip.IsUnspecified() || ip.IsMulticast() {
		fault("underlay_ip", c.UnderlayIP, "must be an IPv4 address of an interface of this host")
	}
	if u, err := url.Parse(c.Controller); err != nil || u.Scheme != "https" || u.Host == "" {
		fault("controller", c.Controller, "must be a URL such as https://controller.example:4003")
	}
	if !strings.HasPrefix(c.OVSDB, "unix:/") {
		fault("ovsdb", c.OVSDB, "must be unix: and an absolute path, such as unix:/run/openvswitch/db.sock")
	}
	if !bridgeName.MatchString(c.Bridge) {
		fault("bridge", c.Bridge, "must be 1 to 15 letters, digits, '_', '.' or '-'")
	}
	if c.Datapath != "" && c.Datapath != DatapathAlone {
		fault("datapath", c.Datapath, "must be empty (the kernel's) or netdev (userspace: a cell alone, without tunnel)")
	}
	if !logLevels[c.LogLevel] {
		fault("log_level", c.LogLevel, "must be debug, info, warn or error")
	}
	if c.DebugListen != "" && !debug.Local(c.DebugListen) {
		fault("debug_listen", c.DebugListen, debug.Must)
	}
	if c.Reconcile < 100*time.Millisecond {
		fault("reconcile_interval", c.Reconcile, "must be at least 100ms")
	}
	if c.AddressRest < 0 || c.AddressRest > 24*time.Hour {
		fault("address_rest", c.AddressRest, "must be 0s to 24h")
	}
	if c.OVSOfctl == "" {
		fault("ovs_ofctl", c.OVSOfctl, "must name the ovs-ofctl program")
	}
	for _, p := range []struct{ key, path string }{
		{"tls.cert_file", c.TLS.CertFile}, {"tls.key_file", c.TLS.KeyFile}, {"tls.ca_file", c.TLS.CAFile},
		{"ovs_rundir", c.OVSRunDir}, {"state_dir", c.StateDir}, {"subnet_file", c.SubnetFile}, {"socket", c.Socket},
	} {
		if !filepath.IsAbs(p.path) {
			fault(p.key, p.path, "must be an absolute path")
		}
	}
	c.validateHost(fault)
	return errors.Join(faults...)
}

// maxPerSec bounds every rate and burst, so that nftables can express them.
const maxPerSec = 1_000_000

// validateHost reports the faults of what concerns the host's own network.
func (c Config) validateHost(fault func(key string, value any, must string)) {
	for _, a := range c.DNSServers {
		if !usable(a) {
			fault("dns_servers", a, "must be an IPv4 address of this host")
		}
	}
	for _, s := range c.HostServices {
		if !usable(s.Addr) || s.Port == 0 || (s.Protocol != flows.TCP && s.Protocol != flows.UDP) {
			fault("host_services", formatService(s), `must be such as "tcp 169.254.0.3:8301"`)
		}
	}
	for _, p := range c.NoMasquerade {
		if !p.Addr().Is4() || p != p.Masked() {
			fault("no_masquerade", p, "must be an IPv4 network such as 10.0.0.0/8")
		}
	}
	if c.FlowLog.File != "" && c.FlowLog.File != "-" && !filepath.IsAbs(c.FlowLog.File) {
		fault("flow_log.file", c.FlowLog.File, `must be an absolute path, "-" for standard output, or empty for no log`)
	}
	leastBurst := min(1, max(0, c.Outbound.RatePerSec)) // where there is no rate, it does not matter
	for _, n := range []struct {
		key          string
		value, least int
	}{
		{"outbound_connections.rate_per_sec", c.Outbound.RatePerSec, 0},
		{"outbound_connections.burst", c.Outbound.Burst, leastBurst},
		{"flow_log.denied_per_sec", c.FlowLog.DeniedPerSec, 0},
		{"flow_log.accepted_udp_per_sec", c.FlowLog.AcceptedUDPPerSec, 0},
		{"answers.per_container", c.Answers.PerContainer, 1},
		{"answers.per_cell", c.Answers.PerCell, 1},
	} {
		if n.value < n.least || n.value > maxPerSec {
			fault(n.key, n.value, fmt.Sprintf("must be %d to %d", n.least, maxPerSec))
		}
	}
}

// usable tells whether a host can have the address.
func usable(a netip.Addr) bool { return a.Is4() && !a.IsUnspecified() && !a.IsMulticast() }

// Services are the ports of this host that every container of the cell may use.
func (c Config) Services() []flows.Service {
	var all []flows.Service
	for _, a := range c.DNSServers {
		all = append(all, flows.Service{Protocol: flows.TCP, Addr: a, Port: 53}, flows.Service{Protocol: flows.UDP, Addr: a, Port: 53})
	}
	return append(all, c.HostServices...)
}

// ParseService reads a host service: "tcp 169.254.0.3:8301".
func ParseService(text string) (flows.Service, error) {
	name, address, _ := strings.Cut(text, " ")
	protocol, err := flows.ParseProtocol(name)
	if err != nil {
		return flows.Service{}, err
	}
	at, err := netip.ParseAddrPort(strings.TrimSpace(address))
	return flows.Service{Protocol: protocol, Addr: at.Addr(), Port: at.Port()}, err
}

func formatService(s flows.Service) string {
	return fmt.Sprintf("%v %v", s.Protocol, netip.AddrPortFrom(s.Addr, s.Port))
}
