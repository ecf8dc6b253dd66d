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
	"github.com/spf13/pflag"

	"github.com/weft-sdn/weft/controller/server"
)

// overrides are the flags that go before the file's keys. Empty: not given.
type overrides struct {
	listen, internalListen, database, tokenFile, logLevel string
}

func (o *overrides) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.listen, "listen", "", "overrides listen")
	flags.StringVar(&o.internalListen, "internal-listen", "", "overrides internal_listen")
	flags.StringVar(&o.database, "database", "", "overrides database")
	flags.StringVar(&o.tokenFile, "token-file", "", "overrides auth.token_file")
	flags.StringVar(&o.logLevel, "log-level", "", "overrides log_level")
}

func (o *overrides) apply(config *server.Config) {
	for value, target := range map[*string]*string{
		&o.listen: &config.Listen, &o.internalListen: &config.InternalListen, &o.database: &config.Database,
		&o.tokenFile: &config.Auth.TokenFile, &o.logLevel: &config.LogLevel,
	} {
		if *value != "" {
			*target = *value
		}
	}
}

// loadConfig reads the YAML file over the defaults, and flags over both. Its
// error lists all faults, each with key and value.
func loadConfig(path string, flags overrides) (server.Config, error) {
	config := server.Default()
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return config, fmt.Errorf("configuration %s: %w", path, err)
	}
	faults := read(k, &config)
	flags.apply(&config)
	if err := errors.Join(append(faults, config.Validate())...); err != nil {
		return config, fmt.Errorf("configuration %s:\n%w", path, err)
	}
	return config, nil
}

// read copies the file's values into config and returns what is wrong with
// their keys and types.
func read(k *koanf.Koanf, config *server.Config) (faults []error) {
	targets := map[string]any{
		"listen": &config.Listen, "internal_listen": &config.InternalListen,
		"internal_tls.cert_file": &config.InternalTLS.Cert, "internal_tls.key_file": &config.InternalTLS.Key, "internal_tls.ca_file": &config.InternalTLS.CA,
		"database": &config.Database, "auth.mode": &config.Auth.Mode, "auth.token_file": &config.Auth.TokenFile,
		"network": &config.Networks, "subnet_prefix_length": &config.SubnetPrefix,
		"vni": &config.VNI, "vxlan_port": &config.VXLANPort, "log_level": &config.LogLevel,
		"deny_networks": &config.DenyNetworks, "group_quarantine": &config.GroupQuarantine,
	}
	for _, key := range k.Keys() {
		target, known := targets[key]
		if !known {
			faults = append(faults, fmt.Errorf("%s %q: no such key; keys are %q", key, fmt.Sprint(k.Get(key)), slices.Sorted(maps.Keys(targets))))
			continue
		}
		if must := assign(target, k.Get(key)); must != "" {
			faults = append(faults, fmt.Errorf("%s %q: must be %s", key, fmt.Sprint(k.Get(key)), must))
		}
	}
	return faults
}

// assign copies a YAML value, or returns what it must be. A type mismatch is
// never papered over: "vni: 1e1" is not 10.
func assign(target, value any) (must string) {
	switch target := target.(type) {
	case *string:
		text, is := value.(string)
		if !is {
			return "text; put it in quotes"
		}
		*target = text
	case *int:
		n, is := value.(int)
		if !is {
			return "a whole number"
		}
		*target = n
	case *uint32:
		n, is := value.(int)
		if !is || n < 0 || int64(n) > 1<<32-1 {
			return "a whole number from 0"
		}
		*target = uint32(n)
	case *time.Duration:
		text, is := value.(string)
		d, err := time.ParseDuration(text)
		if !is || err != nil {
			return "a duration with its unit, such as 5m or 0s"
		}
		*target = d
	case *[]string:
		items, is := value.([]any)
		if !is {
			return "a list, such as [10.255.0.0/16]"
		}
		*target = nil
		for _, item := range items {
			text, is := item.(string)
			if !is {
				return "a list of texts, such as [10.255.0.0/16]"
			}
			*target = append(*target, text)
		}
	default:
		panic(fmt.Sprintf("config: no rule for %T", target))
	}
	return ""
}
