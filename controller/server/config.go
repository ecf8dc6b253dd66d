package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/flows"
)

// Config is everything that a controller has to be told. The yaml key of each
// field is given.
type Config struct {
	Listen         string       // listen: host:port of the external API; port 0: any free one
	InternalListen string       // internal_listen: host:port for agents
	InternalTLS    api.KeyFiles // internal_tls: cert_file, key_file, ca_file
	Database       string       // database: sqlite:///absolute/path
	AuthMode       string       // auth.mode: token
	TokenFile      string       // auth.token_file: created at first start
	Networks       []string     // network: overlay networks, CIDR
	SubnetPrefix   int          // subnet_prefix_length: bits of a cell's lease
	VNI            uint32       // vni: 1 to 16777215
	VXLANPort      int          // vxlan_port: UDP
	DenyNetworks   []string     // deny_networks: networks that no egress rule opens, CIDR
	LogLevel       string       // log_level: debug, info, warn or error

	// GroupQuarantine (group_quarantine) is how long a freed group id still
	// waits when every switch has confirmed that it no longer knows it, before
	// another app can have it. From 0.
	GroupQuarantine time.Duration
}

// Default is the configuration of a file that names only what has no default:
// internal_tls.
func Default() Config {
	return Config{
		Listen:         "127.0.0.1:4002",
		InternalListen: "127.0.0.1:4003",
		Database:       "sqlite:///var/lib/weft/weft.db",
		AuthMode:       "token",
		TokenFile:      "/var/lib/weft/token",
		Networks:       []string{"10.255.0.0/16"},
		SubnetPrefix:   24,
		VNI:            1,
		VXLANPort:      4789,
		LogLevel:       "info",

		GroupQuarantine: 5 * time.Minute,
	}
}

// Level is LogLevel as slog has it; info if it is not valid.
func (c Config) Level() slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(c.LogLevel)) != nil {
		return slog.LevelInfo
	}
	return level
}

// Validate reports all faults at once, each with its key, its value and what
// the value must be.
func (c Config) Validate() error {
	_, err := c.overlay()
	return err
}

// overlay is the part of a valid configuration that the controller itself needs.
func (c Config) overlay() (controller.Overlay, error) {
	var faults []error
	fault := func(key string, value any, must string) {
		faults = append(faults, fmt.Errorf("%s %q: %s", key, fmt.Sprint(value), must))
	}
	for _, at := range []struct{ key, value string }{{"listen", c.Listen}, {"internal_listen", c.InternalListen}} {
		if _, _, err := net.SplitHostPort(at.value); err != nil {
			fault(at.key, at.value, "must be host:port, such as 127.0.0.1:4002")
		}
	}
	for _, pem := range []struct{ key, value string }{
		{"internal_tls.cert_file", c.InternalTLS.Cert}, {"internal_tls.key_file", c.InternalTLS.Key}, {"internal_tls.ca_file", c.InternalTLS.CA},
	} {
		if pem.value == "" {
			fault(pem.key, pem.value, "must name a PEM file; weft-controller init makes all of them")
		}
	}
	if _, err := gormstore.ParseDSN(c.Database); err != nil {
		fault("database", c.Database, err.Error())
	}
	if c.AuthMode != "token" {
		fault("auth.mode", c.AuthMode, "this version knows only token")
	}
	if !filepath.IsAbs(c.TokenFile) {
		fault("auth.token_file", c.TokenFile, "must be an absolute path; the file is created at first start")
	}
	if c.VNI == 0 || c.VNI >= 1<<24 {
		fault("vni", c.VNI, "must be 1 to 16777215")
	}
	if c.VXLANPort < 1 || c.VXLANPort > 65535 {
		fault("vxlan_port", c.VXLANPort, "must be a UDP port, 1 to 65535")
	}
	if !map[string]bool{"debug": true, "info": true, "warn": true, "error": true}[c.LogLevel] {
		fault("log_level", c.LogLevel, "must be debug, info, warn or error")
	}
	if c.GroupQuarantine < 0 {
		fault("group_quarantine", c.GroupQuarantine, "must be 0s or longer, such as 5m")
	}
	overlay := controller.Overlay{
		Networks: c.networks(fault), SubnetPrefix: c.SubnetPrefix, VNI: flows.VNI(c.VNI), VXLANPort: uint16(c.VXLANPort),
		Deny: c.denied(fault), Quarantine: c.GroupQuarantine,
	}
	return overlay, errors.Join(faults...)
}

// denied parses deny_networks. One that overlaps the overlay is accepted: it
// means nothing there, since what stays on the overlay is not egress.
func (c Config) denied(fault func(key string, value any, must string)) []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range c.DenyNetworks {
		network, err := netip.ParsePrefix(text)
		if err != nil || !network.Addr().Is4() || network != network.Masked() {
			fault("deny_networks", text, "must be an IPv4 network such as 192.0.2.0/24, without host bits")
			continue
		}
		if network.Bits() == 0 { // a switch forgets a match of no bits, and the cell would never be in step
			fault("deny_networks", text, "must be longer than /0; for everything use 0.0.0.0/1 and 128.0.0.0/1")
			continue
		}
		networks = append(networks, network)
	}
	return networks
}

// networks parses network and checks it against subnet_prefix_length.
func (c Config) networks(fault func(key string, value any, must string)) []netip.Prefix {
	if len(c.Networks) == 0 {
		fault("network", "", "must list at least one overlay network, such as [10.255.0.0/16]")
	}
	if c.SubnetPrefix < 8 || c.SubnetPrefix > 30 {
		fault("subnet_prefix_length", c.SubnetPrefix, "must be 8 to 30")
	}
	var networks []netip.Prefix
	for _, text := range c.Networks {
		network, err := netip.ParsePrefix(text)
		switch {
		case err != nil || !network.Addr().Is4() || network != network.Masked():
			fault("network", text, "must be an IPv4 network such as 10.255.0.0/16, without host bits")
			continue
		case network.Bits() >= c.SubnetPrefix:
			fault("network", text, fmt.Sprintf("must be larger than one cell's subnet (subnet_prefix_length %d)", c.SubnetPrefix))
		}
		for _, other := range networks {
			if other.Overlaps(network) {
				fault("network", text, fmt.Sprintf("overlaps %s", other))
			}
		}
		networks = append(networks, network)
	}
	return networks
}
