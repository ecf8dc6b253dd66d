package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

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
	keys := settings(&cfg)
	var faults []error
	for _, key := range k.Keys() {
		set, known := keys[key]
		if !known {
			faults = append(faults, fmt.Errorf("%s %q: no such key; keys are %q",
				key, fmt.Sprint(k.Get(key)), slices.Sorted(maps.Keys(keys))))
			continue
		}
		if err := set(k.Get(key)); err != nil {
			faults = append(faults, fmt.Errorf("%s %w", key, err))
		}
	}
	if err := errors.Join(append(faults, cfg.Validate())...); err != nil {
		return cfg, fmt.Errorf("configuration %s:\n%w", path, err)
	}
	return cfg, nil
}
