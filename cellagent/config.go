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
)

// Config is everything that an Agent has to be told. The yaml keys of
// weft-agent's file are given at each field.
type Config struct {
	Cell       string        // cell: 1 to 63 of a-z, 0-9, '-'; the common name of the certificate
	UnderlayIP string        // underlay_ip: IPv4 address of the tunnel end (VTEP), on an interface of this host
	Controller string        // controller: https URL of the controller's internal listener
	TLS        TLSFiles      // tls
	OVSDB      string        // ovsdb: unix:PATH of ovsdb-server
	OVSRunDir  string        // ovs_rundir: folder of the bridges' management sockets
	OVSOfctl   string        // ovs_ofctl: program, looked up in PATH when it has no slash
	Bridge     string        // bridge: at most 15 bytes
	Datapath   string        // datapath: "" for the kernel's, "netdev" for a cell alone without tunnel
	StateDir   string        // state_dir: lease and last good table
	SubnetFile string        // subnet_file: what weft-cni reads
	Socket     string        // socket: status, answers weft-agent status
	LogLevel   string        // log_level: debug, info, warn or error
	Reconcile  time.Duration // reconcile_interval: between full comparisons with the switch, at least 100ms

	BootID string // of the running kernel; "" means that it is read from /proc
}

// TLSFiles are PEM files: the agent's certificate and key, and the authority
// that signed the controller's certificate.
type TLSFiles struct {
	CertFile string // tls.cert_file
	KeyFile  string // tls.key_file
	CAFile   string // tls.ca_file
}

// DatapathAlone is the datapath of a cell without tunnel: OVS's userspace
// datapath cannot carry the group id in VXLAN.
const DatapathAlone = "netdev"

// DefaultConfig is the configuration of a cell whose file names only what has
// no default: cell, underlay_ip, controller and tls.
func DefaultConfig() Config {
	return Config{
		OVSDB:      "unix:/run/openvswitch/db.sock",
		OVSRunDir:  "/var/run/openvswitch",
		OVSOfctl:   "ovs-ofctl",
		Bridge:     "br-weft",
		StateDir:   "/var/lib/weft/agent",
		SubnetFile: "/run/weft/subnet.json",
		Socket:     "/run/weft/agent.sock",
		LogLevel:   "info",
		Reconcile:  30 * time.Second,
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

// Validate reports all faults at once, each with its key, its value and what
// the value must be.
func (c Config) Validate() error {
	var faults []error
	fault := func(key string, value any, must string) {
		faults = append(faults, fmt.Errorf("%s %q: %s", key, fmt.Sprint(value), must))
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
	if c.Reconcile < 100*time.Millisecond {
		fault("reconcile_interval", c.Reconcile, "must be at least 100ms")
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
	return errors.Join(faults...)
}
