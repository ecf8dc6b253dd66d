package cellagent

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/weft-sdn/weft/settings"
)

// Keys are the keys of the configuration file, in the order of the example that
// weft-controller init makes for each cell, with where their values go. What
// they mean is told here only: docs/configuration.md and the example are made of
// it.
func (c *Config) Keys() []settings.Key {
	return append(c.cellKeys(), c.hostKeys()...)
}

func (c *Config) cellKeys() []settings.Key {
	return []settings.Key{
		{
			Name: "cell", Value: settings.Text(&c.Cell), Init: `"{{.Cell}}"`, Example: "cell-1",
			Meaning: "The cell's name, which must equal the common name of its certificate: 1 to 63 characters of a-z, 0-9 and `-`. Must be set.",
		}, {
			Name: "underlay_ip", Value: settings.Text(&c.UnderlayIP), Init: "{{.Underlay}}", Example: "192.0.2.11",
			Meaning: "IPv4 address of an interface of this host, by which the other cells reach it: the end of the tunnels. Must be set.",
		}, {
			Name: "controller", Value: settings.Text(&c.Controller), Init: "{{.Controller}}", Example: "https://controller.example:4003",
			Meaning: "URL of the controller's internal listener, whose certificate must name this host. Must be set.",
		}, {
			Name: "tls.cert_file", Value: settings.Text(&c.TLS.CertFile), Init: `"{{.Cert}}"`, Example: "/etc/weft/cell-1.crt",
			Meaning: "PEM file of the cell's certificate, by an absolute path. Must be set.",
		}, {
			Name: "tls.key_file", Value: settings.Text(&c.TLS.KeyFile), Init: `"{{.Key}}"`, Example: "/etc/weft/cell-1.key",
			Meaning: "PEM file of its key. Must be set.",
		}, {
			Name: "tls.ca_file", Value: settings.Text(&c.TLS.CAFile), Init: `"{{.CA}}"`, Example: "/etc/weft/ca.crt",
			Meaning: "PEM file of the authorities that sign the controller's certificate. Must be set.",
		}, {
			Name: "ovsdb", Value: settings.Text(&c.OVSDB),
			Meaning: "`unix:` and the absolute path of the socket of the cell's ovsdb-server.",
		}, {
			Name: "ovs_rundir", Value: settings.Text(&c.OVSRunDir),
			Meaning: "Folder in which ovs-vswitchd has the bridges' management sockets.",
		}, {
			Name: "ovs_ofctl", Value: settings.Text(&c.OVSOfctl),
			Meaning: "The program ovs-ofctl; looked up in PATH unless it has a slash.",
		}, {
			Name: "bridge", Value: settings.Text(&c.Bridge),
			Meaning: "The agent's bridge, at most 15 characters. Nothing else may be on it.",
		}, {
			Name: "datapath", Value: settings.Text(&c.Datapath), Example: "netdev",
			Meaning: "Empty: the kernel's. `netdev`: OVS's own, for a cell alone, without a tunnel.",
		}, {
			Name: "state_dir", Value: settings.Text(&c.StateDir),
			Meaning: "Folder of what the agent remembers: its lease and the last good table.",
		}, {
			Name: "subnet_file", Value: settings.Text(&c.SubnetFile),
			Meaning: "File with lease and MTU, or why no container can be attached, which weft-cni reads.",
		}, {
			Name: "address_rest", Value: settings.Duration(&c.AddressRest),
			Meaning: "For how long an address that a container gave back is given to no other, so that a late packet reaches nobody; 0s to 24h. When all addresses of the lease rest, the one that has rested longest is given.",
		}, {
			Name: "single_ip_only", Value: settings.Bool(&c.SingleIPOnly),
			Meaning: "Whether the cell leases one address instead of a subnet and runs no containers: a router's host.",
		}, {
			Name: "socket", Value: settings.Text(&c.Socket),
			Meaning: "Socket that answers `weft-agent status` and `weft doctor`.",
		}, {
			Name: "log_level", Value: settings.Text(&c.LogLevel),
			Meaning: "`debug`, `info`, `warn` or `error`.",
		}, {
			Name: "debug_listen", Value: settings.Text(&c.DebugListen), Example: "127.0.0.1:6061",
			Meaning: "Loopback address and port on which Go's profiles (`/debug/pprof/`) and the runtime's metrics (`/metrics`, for Prometheus) are shown to this host; empty: nowhere.",
		}, {
			Name: "reconcile_interval", Value: settings.Duration(&c.Reconcile),
			Meaning: "Time between two full comparisons with switch and host, at least 100ms. Changes do not wait for it.",
		},
	}
}

func (c *Config) hostKeys() []settings.Key {
	return []settings.Key{
		{
			Name: "dns_servers", Value: settings.List(&c.DNSServers, netip.ParseAddr, netip.Addr.String, "IPv4 addresses such as 169.254.0.2"), Example: "[169.254.0.2]",
			Meaning: "Addresses of this host whose port 53 its containers may use, tcp and udp.",
		}, {
			Name: "host_services", Value: settings.List(&c.HostServices, ParseService, formatService, `such as "tcp 169.254.0.3:8301"`), Example: `["tcp 169.254.0.3:8301"]`,
			Meaning: "Other ports of this host that its containers may use; the rest of it is closed to them.",
		}, {
			Name: "no_masquerade", Value: settings.List(&c.NoMasquerade, netip.ParsePrefix, netip.Prefix.String, "IPv4 networks such as 10.0.0.0/8"), Example: "[10.0.0.0/8]",
			Meaning: "Networks that see the containers' own addresses instead of the cell's.",
		}, {
			Name: "outbound_connections.rate_per_sec", Value: settings.Number(&c.Outbound.RatePerSec), Example: "100",
			Meaning: "New TCP connections per second of a container to one address and port out of the overlay; 0: no limit. There is room for a million destinations at a time; beyond, new ones are not limited.",
		}, {
			Name: "outbound_connections.burst", Value: settings.Number(&c.Outbound.Burst), Example: "1000",
			Meaning: "How many of them may come at once; from 1 if there is a rate.",
		}, {
			Name: "outbound_connections.dry_run", Value: settings.Bool(&c.Outbound.DryRun),
			Meaning: "Whether what is over the limit is only counted and logged, and passes.",
		}, {
			Name: "flow_log.file", Value: settings.Text(&c.FlowLog.File),
			Meaning: "Where denied and accepted traffic is logged: an absolute path, `\"-\"` for standard output, or `\"\"` for no log.",
		}, {
			Name: "flow_log.denied_per_sec", Value: settings.Number(&c.FlowLog.DeniedPerSec),
			Meaning: "Lines per second for what is denied to one container; 0: none.",
		}, {
			Name: "flow_log.accepted_udp_per_sec", Value: settings.Number(&c.FlowLog.AcceptedUDPPerSec),
			Meaning: "Lines per second for accepted UDP of the whole cell; 0: none.",
		}, {
			Name: "answers.per_container", Value: settings.Number(&c.Answers.PerContainer),
			Meaning: "TCP resets and ICMP errors per second that tell one sender that it is denied; the rest is dropped and counted. From 1.",
		}, {
			Name: "answers.per_cell", Value: settings.Number(&c.Answers.PerCell),
			Meaning: "The same, of the whole cell. From 1.",
		},
	}
}

// CheckFiles reads the certificates that the configuration names, and reports
// what cannot be used.
func (c Config) CheckFiles() error {
	return errors.Join(
		c.checkName(),
		settings.CheckKeyPair(settings.PEMFile{Key: "tls.cert_file", Path: c.TLS.CertFile}, settings.PEMFile{Key: "tls.key_file", Path: c.TLS.KeyFile}),
		settings.CheckAuthorities(settings.PEMFile{Key: "tls.ca_file", Path: c.TLS.CAFile}),
	)
}

// checkName compares the cell's name with its certificate's, by which alone the
// controller knows it.
func (c Config) checkName() error {
	name := settings.CommonName(settings.PEMFile{Key: "tls.cert_file", Path: c.TLS.CertFile})
	if name == "" || name == c.Cell || !cellName.MatchString(c.Cell) {
		return nil // others tell what is wrong
	}
	return settings.Fault{Key: "cell", Value: c.Cell, Must: fmt.Sprintf("must equal the common name of its certificate (tls.cert_file), which is %q", name)}
}
