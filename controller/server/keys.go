package server

import "github.com/weft-sdn/weft/settings"

// Keys are the keys of the configuration file, in the order of the example that
// weft-controller init makes, with where their values go. What they mean is told
// here only: docs/configuration.md and the example are made of it.
func (c *Config) Keys() []settings.Key {
	keys := c.listenerKeys()
	keys = append(keys, c.authKeys()...)
	keys = append(keys, c.policyKeys()...)
	return append(keys, c.overlayKeys()...)
}

func (c *Config) listenerKeys() []settings.Key {
	return []settings.Key{
		{
			Name: "listen", Value: settings.Text(&c.Listen), Init: "127.0.0.1:4002",
			Meaning: "Address and port of the external API: policies, listings (weft, cf). Port 0 is any free one; the log's line `ready` tells which.",
		}, {
			Name: "tls.cert_file", Value: settings.Text(&c.TLS.Cert), Example: "/etc/weft/api.crt",
			Meaning: "PEM file of the external API's certificate, with what signed it. With it and `tls.key_file` the external API speaks TLS, without them plain HTTP. A renewed pair is used without a restart.",
		}, {
			Name: "tls.key_file", Value: settings.Text(&c.TLS.Key), Example: "/etc/weft/api.key",
			Meaning: "PEM file of the key of `tls.cert_file`.",
		}, {
			Name: "internal_listen", Value: settings.Text(&c.InternalListen), Init: "0.0.0.0:4003",
			Meaning: "Address and port of the internal API: agents of cells, and other internal clients, over mTLS. The cells must be able to reach it.",
		}, {
			Name: "internal_tls.cert_file", Value: settings.Text(&c.InternalTLS.Cert), Init: `"{{.Cert}}"`, Example: "/etc/weft/controller.crt",
			Meaning: "PEM file of the internal API's certificate. Must be set; `weft-controller init` makes one. A renewed pair is used without a restart.",
		}, {
			Name: "internal_tls.key_file", Value: settings.Text(&c.InternalTLS.Key), Init: `"{{.Key}}"`, Example: "/etc/weft/controller.key",
			Meaning: "PEM file of the key of `internal_tls.cert_file`. Must be set.",
		}, {
			Name: "internal_tls.ca_file", Value: settings.Text(&c.InternalTLS.CA), Init: `"{{.CA}}"`, Example: "/etc/weft/ca.crt",
			Meaning: "PEM file of the authorities that sign the certificates of cells and internal clients: who has no certificate of them is refused. Must be set.",
		}, {
			Name: "database", Value: settings.Text(&c.Database), Redact: redactURL, Init: `"sqlite://{{.Database}}"`, Example: "mysql://user:password@host:3306/weft",
			Meaning: "Where policies, group ids and leases are stored: `sqlite:///PATH` or `mysql://USER:PASSWORD@HOST:PORT/NAME`. Its schema is made and migrated as needed ([database.md](database.md)).",
		},
	}
}

func (c *Config) authKeys() []settings.Key {
	uaa := &c.Auth.UAA
	return []settings.Key{
		{
			Name: "auth.mode", Value: settings.Text(&c.Auth.Mode), Init: "token",
			Meaning: "How callers of the external API prove who they are: `token` (one token, in a file, that may do everything), `uaa` (a token of Cloud Foundry's UAA, with its scopes) or `mtls` (a client certificate, whose common name is the caller and whose organizational units are scopes such as `network.admin`; needs `tls`).",
		}, {
			Name: "auth.token_file", Value: settings.Text(&c.Auth.TokenFile), Init: `"{{.Token}}"`,
			Meaning: "Mode token: absolute path of the file with the token. Created at the first start, readable by its owner only.",
		}, {
			Name: "auth.client_ca_file", Value: settings.Text(&c.Auth.ClientCA), Example: "/etc/weft/clients.crt",
			Meaning: "Mode mtls: PEM file of the authorities that sign the certificates of callers; empty: those of `internal_tls.ca_file`. The common name is the caller's name, each organizational unit a scope: `network.admin` or `network.write`.",
		}, {
			Name: "auth.uaa.url", Value: settings.Text(&uaa.URL), Example: "https://uaa.system.example",
			Meaning: "Mode uaa, or with a Cloud Controller: URL of the UAA.",
		}, {
			Name: "auth.uaa.client_id", Value: settings.Text(&uaa.ClientID),
			Meaning: "Our own client at the UAA. It needs the authorities `uaa.resource` (to check tokens) and `cloud_controller.admin_read_only` (for `cloud_controller.url`).",
		}, {
			Name: "auth.uaa.client_secret", Value: settings.Text(&uaa.ClientSecret), Redact: settings.Hide, Example: "example-secret",
			Meaning: "The client's secret. Needed for `verify: check_token` and for `cloud_controller.url`; `verify: jwt` alone needs none.",
		}, {
			Name: "auth.uaa.ca_file", Value: settings.Text(&uaa.CAFile), Example: "/etc/weft/uaa-ca.crt",
			Meaning: "PEM file of the authorities that sign the UAA's certificate; empty: the system's.",
		}, {
			Name: "auth.uaa.verify", Value: settings.Text(&uaa.Verify),
			Meaning: "How a caller's token is verified: `check_token` (the UAA is asked for each request, so that a revoked token ends at once) or `jwt` (by the UAA's published keys, without a request).",
		}, {
			Name: "cloud_controller.url", Value: settings.Text(&c.CloudController.URL), Example: "https://api.system.example",
			Meaning: "URL of Cloud Controller, which knows apps, spaces, roles and security groups. Empty: none, and then only callers with the scope `network.admin` can write policies, no policy is cleaned up, and there are no dynamic security groups. Needs `auth.uaa`.",
		}, {
			Name: "cloud_controller.ca_file", Value: settings.Text(&c.CloudController.CAFile), Example: "/etc/weft/cc-ca.crt",
			Meaning: "PEM file of the authorities that sign Cloud Controller's certificate; empty: the system's.",
		},
	}
}

func (c *Config) policyKeys() []settings.Key {
	return []settings.Key{
		{
			Name: "max_policies_per_app_source", Value: settings.Number(&c.MaxPoliciesPerAppSource),
			Meaning: "How many policies one source app may have when a caller without `network.admin` adds one. From 1.",
		}, {
			Name: "enable_space_developer_self_service", Value: settings.Bool(&c.EnableSpaceDeveloperSelfService),
			Meaning: "Whether a space developer may write policies between apps of the own spaces without the scope `network.write`. Needs `cloud_controller.url`, and another `auth.mode` than token.",
		}, {
			Name: "tag_length", Value: settings.Number(&c.TagLength),
			Meaning: "Bytes of a group id (upstream: tag), 1 or 2; it is printed with twice as many digits. With 1 there are 255 ids, with 2 there are 65535. Upstream's 3 is refused: the VXLAN group policy header carries two bytes.",
		}, {
			Name: "cleanup_interval", Value: settings.Duration(&c.CleanupInterval),
			Meaning: "Time between two removals of the policies of apps that Cloud Controller no longer knows; 0s: never. The first is one interval after the start.",
		}, {
			Name: "allowed_cors_domains", Value: settings.Texts(&c.AllowedCORSDomains), Example: "[https://apps.example]",
			Meaning: "Origins of web pages that may call the external API; `\"*\"` is any.",
		},
	}
}

func (c *Config) overlayKeys() []settings.Key {
	return []settings.Key{
		{
			Name: "network", Value: settings.Texts(&c.Networks), Init: "[10.255.0.0/16]",
			Meaning: "The overlay: networks that containers get their addresses from, one or more. Networks may be added, and one may grow, but not move. The first block of each is kept for single addresses (agents with `single_ip_only`).",
		}, {
			Name: "subnet_prefix_length", Value: settings.Number(&c.SubnetPrefix), Init: "24",
			Meaning: "How much of `network` one cell gets, in bits of its prefix: 8 to 30.",
		}, {
			Name: "lease_expiry", Value: settings.Duration(&c.LeaseExpiry),
			Meaning: "How long a cell may be away from all controllers before its lease expires: from then on no other cell sends to it or accepts from it, and when `network` is full its subnet may go to another cell. Until then it gets the same subnet back. Agents are told: after the same time without a controller they start no more containers, and what runs goes on. At least 1s; take hours at least, so that an outage takes nobody's lease.",
		}, {
			Name: "vni", Value: settings.Number(&c.VNI),
			Meaning: "VXLAN network identifier between the cells: 1 to 16777215.",
		}, {
			Name: "vxlan_port", Value: settings.Number(&c.VXLANPort),
			Meaning: "UDP port of VXLAN between the cells.",
		}, {
			Name: "deny_networks", Value: settings.Texts(&c.DenyNetworks), Example: "[169.254.169.254/32]",
			Meaning: "Networks that no container may reach, whatever its egress rules say: the cloud's metadata service, say. What stays on the overlay is for policies.",
		}, {
			Name: "group_quarantine", Value: settings.Duration(&c.GroupQuarantine),
			Meaning: "How long the group id of an app that is gone waits before another app can have it, from when the last cell has confirmed that its switch no longer knows it: a cell that is away holds it up.",
		}, {
			Name: "log_level", Value: settings.Text(&c.LogLevel),
			Meaning: "`debug`, `info`, `warn` or `error`.",
		}, {
			Name: "debug_listen", Value: settings.Text(&c.DebugListen), Example: "127.0.0.1:6060",
			Meaning: "Loopback address and port on which Go's profiles (`/debug/pprof/`) and the runtime's metrics (`/metrics`, for Prometheus) are shown to this host; empty: nowhere.",
		},
	}
}
