package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"github.com/weft-sdn/weft/cellagent"
)

// loadConfig reads the YAML file over the defaults. Its error lists all
// faults: keys that do not exist, values of the wrong type and what
// cellagent.Config.Validate finds.
func loadConfig(path string) (cellagent.Config, error) {
	cfg := cellagent.DefaultConfig()
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return cfg, fmt.Errorf("configuration %s: %w", path, err)
	}
	interval := cfg.Reconcile.String()
	keys := map[string]*string{
		"cell": &cfg.Cell, "underlay_ip": &cfg.UnderlayIP, "controller": &cfg.Controller,
		"tls.cert_file": &cfg.TLS.CertFile, "tls.key_file": &cfg.TLS.KeyFile, "tls.ca_file": &cfg.TLS.CAFile,
		"ovsdb": &cfg.OVSDB, "ovs_rundir": &cfg.OVSRunDir, "ovs_ofctl": &cfg.OVSOfctl, "bridge": &cfg.Bridge,
		"datapath": &cfg.Datapath, "state_dir": &cfg.StateDir, "subnet_file": &cfg.SubnetFile,
		"socket": &cfg.Socket, "log_level": &cfg.LogLevel, "reconcile_interval": &interval,
	}
	var faults []error
	for _, key := range k.Keys() {
		target, known := keys[key]
		if !known {
			faults = append(faults, fmt.Errorf("%s %q: no such key; keys are %q",
				key, fmt.Sprint(k.Get(key)), slices.Sorted(maps.Keys(keys))))
			continue
		}
		value, isText := k.Get(key).(string)
		if !isText && k.Get(key) != nil {
			faults = append(faults, fmt.Errorf("%s %q: must be text; put it in quotes", key, fmt.Sprint(k.Get(key))))
			continue
		}
		*target = value
	}
	var err error
	if cfg.Reconcile, err = time.ParseDuration(interval); err != nil {
		faults = append(faults, fmt.Errorf("reconcile_interval %q: must be a duration such as 30s", interval))
		cfg.Reconcile = cellagent.DefaultConfig().Reconcile
	}
	if err := errors.Join(append(faults, cfg.Validate())...); err != nil {
		return cfg, fmt.Errorf("configuration %s:\n%w", path, err)
	}
	return cfg, nil
}
