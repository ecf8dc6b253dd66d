package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/weft-sdn/weft/cellagent"
)

// setting puts a value of the YAML file where it belongs. Its error starts with
// the value, in quotes. Of no value (a key with nothing behind it) it keeps the
// zero one.
type setting func(value any) error

// settings are the keys of the file.
func settings(cfg *cellagent.Config) map[string]setting {
	return map[string]setting{
		"cell": text(&cfg.Cell), "underlay_ip": text(&cfg.UnderlayIP), "controller": text(&cfg.Controller),
		"tls.cert_file": text(&cfg.TLS.CertFile), "tls.key_file": text(&cfg.TLS.KeyFile), "tls.ca_file": text(&cfg.TLS.CAFile),
		"ovsdb": text(&cfg.OVSDB), "ovs_rundir": text(&cfg.OVSRunDir), "ovs_ofctl": text(&cfg.OVSOfctl), "bridge": text(&cfg.Bridge),
		"datapath": text(&cfg.Datapath), "state_dir": text(&cfg.StateDir), "subnet_file": text(&cfg.SubnetFile),
		"socket": text(&cfg.Socket), "log_level": text(&cfg.LogLevel),
		"reconcile_interval": parsed(&cfg.Reconcile, time.ParseDuration, "a duration such as 30s"),

		"dns_servers":   list(&cfg.DNSServers, netip.ParseAddr, "IPv4 addresses such as 169.254.0.2"),
		"host_services": list(&cfg.HostServices, cellagent.ParseService, `such as "tcp 169.254.0.3:8301"`),
		"no_masquerade": list(&cfg.NoMasquerade, netip.ParsePrefix, "IPv4 networks such as 10.0.0.0/8"),

		"outbound_connections.rate_per_sec": exact(&cfg.Outbound.RatePerSec, "a whole number"),
		"outbound_connections.burst":        exact(&cfg.Outbound.Burst, "a whole number"),
		"outbound_connections.dry_run":      exact(&cfg.Outbound.DryRun, "true or false"),
		"flow_log.file":                     text(&cfg.FlowLog.File),
		"flow_log.denied_per_sec":           exact(&cfg.FlowLog.DeniedPerSec, "a whole number"),
		"flow_log.accepted_udp_per_sec":     exact(&cfg.FlowLog.AcceptedUDPPerSec, "a whole number"),
		"answers.per_container":             exact(&cfg.Answers.PerContainer, "a whole number"),
		"answers.per_cell":                  exact(&cfg.Answers.PerCell, "a whole number"),
	}
}

// exact takes a value that has the type already.
func exact[T any](target *T, must string) setting {
	return func(value any) error {
		v, is := value.(T)
		if !is && value != nil {
			return fmt.Errorf("%q: must be %s", fmt.Sprint(value), must)
		}
		*target = v
		return nil
	}
}

func text(target *string) setting { return exact(target, "text; put it in quotes") }

// parsed takes a text that parse can read.
func parsed[T any](target *T, parse func(string) (T, error), must string) setting {
	return func(value any) error {
		v, err := parse(fmt.Sprint(value))
		if err != nil {
			return fmt.Errorf("%q: must be %s", fmt.Sprint(value), must)
		}
		*target = v
		return nil
	}
}

// list takes a list of such texts.
func list[T any](target *[]T, parse func(string) (T, error), must string) setting {
	return func(value any) error {
		items, is := value.([]any)
		if !is && value != nil {
			return fmt.Errorf("%q: must be a list of %s", fmt.Sprint(value), must)
		}
		*target = nil
		for _, item := range items {
			v, err := parse(fmt.Sprint(item))
			if err != nil {
				return fmt.Errorf("%q: must be %s", fmt.Sprint(item), must)
			}
			*target = append(*target, v)
		}
		return nil
	}
}
