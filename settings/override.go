package settings

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// readEnvironment sets what variables with the prefix hold. One that is no key
// is a fault, as it is in the file.
func (l *loader) readEnvironment() {
	if l.sources.Prefix == "" {
		return
	}
	names := map[string]string{}
	for name := range l.keys {
		names[variable(l.sources.Prefix, name)] = name
	}
	for _, entry := range l.sources.Env {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, l.sources.Prefix) {
			continue
		}
		at := place{other: "environment " + name}
		if key, known := l.keys[names[name]]; known {
			l.set(key, key.Value.parse(value), at)
			continue
		}
		must := "no such variable"
		if near := nearest(name, slices.Sorted(maps.Keys(names)), len(name)-len(l.sources.Prefix)); near != "" {
			must += "; did you mean " + near + "?"
		}
		l.add(Fault{Must: must}, at)
	}
}

// readFlags sets what flags hold.
func (l *loader) readFlags() {
	for _, name := range slices.Sorted(maps.Keys(l.sources.Flags)) {
		key := l.keys[name]
		l.set(key, key.Value.parse(l.sources.Flags[name]), place{other: "flag --" + flagName(name)})
	}
}

// flagName is the flag of a key: auth-token-file of auth.token_file.
func flagName(key string) string { return strings.NewReplacer(".", "-", "_", "-").Replace(key) }

// keyAnnotation marks the flags of keys, and says of which: a command may have a
// flag of the same name that is something else.
const keyAnnotation = "settings-key"

// registerFlags makes a flag for each key.
func registerFlags(flags *pflag.FlagSet, keys []Key) {
	add := func(key, usage string) *pflag.Flag {
		flags.String(flagName(key), "", usage)
		flag := flags.Lookup(flagName(key))
		flag.Annotations = map[string][]string{keyAnnotation: {key}}
		return flag
	}
	for _, k := range keys {
		usage := "overrides " + k.Name
		if k.Redact != nil {
			add(k.Name+fileSuffix, "file that holds "+k.Name)
			usage += "; others can read a secret in the process list"
		}
		flag := add(k.Name, usage)
		if k.Value.kind == "true or false" {
			flag.NoOptDefVal = "true"
		}
	}
}

// givenFlags are the keys that a command line has.
func givenFlags(flags *pflag.FlagSet) map[string]string {
	given := map[string]string{}
	flags.Visit(func(flag *pflag.Flag) {
		for _, key := range flag.Annotations[keyAnnotation] {
			given[key] = flag.Value.String()
		}
	})
	return given
}
