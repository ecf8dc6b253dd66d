package settings

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Sources are what a configuration is made of. Each goes before what stands
// before it here; the defaults, which the keys' values hold already, come first.
type Sources struct {
	File   string            // path of a YAML file
	Prefix string            // of environment variables, such as WEFT_CONTROLLER_
	Env    []string          // as os.Environ has it
	Flags  map[string]string // by a key's name
}

// place is where a key was given: in a line of the file, or beside it.
type place struct {
	line  int    // 0: not in the file
	other string // "environment NAME" or "flag --name"
}

// source tells file, environment and flags apart.
func (p place) source() string {
	word, _, _ := strings.Cut(p.other, " ")
	return word
}

// located is a fault with its place.
type located struct {
	Fault
	place
}

// loader gathers values and faults.
type loader struct {
	sources Sources
	keys    map[string]Key
	groups  map[string]bool
	places  map[string]place // of keys and groups that were given
	items   map[string]place // of a list's items in the file, by key and value
	faults  []located
	unread  bool // the file, which nobody can read
}

// Configuration is what Load fills.
type Configuration interface {
	Keys() []Key       // their values are the configuration's own
	Validate() error   // of the values alone; settings.Fault, joined
	CheckFiles() error // of the files that they name; settings.Fault, joined
}

// WithoutFiles is the configuration for a command that uses only values: files
// that they name may be missing.
func WithoutFiles(config Configuration) Configuration { return withoutFiles{config} }

type withoutFiles struct{ Configuration }

func (withoutFiles) CheckFiles() error { return nil }

// Load fills a configuration, which has the defaults, from the sources and
// checks it. The warnings are of what works, but should not be so. The error is
// a Faults with all that is wrong.
func Load(sources Sources, config Configuration) (warnings []string, err error) {
	return load(sources, config).result()
}

func load(sources Sources, config Configuration) *loader {
	keys := config.Keys()
	l := &loader{sources: sources, keys: map[string]Key{}, groups: groups(keys), places: map[string]place{}, items: map[string]place{}}
	for _, k := range keys {
		l.keys[k.Name] = k
		if k.Redact != nil {
			l.keys[k.Name+fileSuffix] = secretFile(k)
		}
	}
	l.readFile()
	l.readEnvironment()
	l.readFlags()
	l.check(config)
	l.warnOfSecrets(keys)
	slices.SortStableFunc(l.faults, func(a, b located) int {
		return cmp.Or(cmp.Compare(a.line, b.line), strings.Compare(a.other, b.other))
	})
	return l
}

// result sorts warnings from faults.
func (l *loader) result() (warnings []string, err error) {
	var faults Faults
	for _, f := range l.faults {
		line := f.String(l.sources.File)
		if f.Warning {
			warnings = append(warnings, line)
		} else {
			faults = append(faults, line)
		}
	}
	if len(faults) > 0 {
		return warnings, faults
	}
	return warnings, nil
}

// secretFile is the key that names the file with the value of k.
func secretFile(k Key) Key {
	return Key{Name: k.Name + fileSuffix, Value: Value{kind: "text", text: true, set: fromFile(k)}}
}

// check adds what the configuration finds itself, except of keys that have a
// fault, whose values are not what was meant, and of keys that a file that
// cannot be read may have.
func (l *loader) check(config Configuration) {
	faulty := map[string]bool{}
	for _, find := range []func() error{config.Validate, config.CheckFiles} {
		for _, f := range l.faults {
			faulty[f.Key] = faulty[f.Key] || !f.Warning
		}
		for _, f := range faultsOf(find()) {
			if f.Key == "" || !faulty[f.Key] {
				f.Value = l.keys[f.Key].redacted(f.Value)
				if at := l.placeOf(f); !l.unread || at.other != "" {
					l.add(f, at)
				}
			}
		}
	}
}

// placeOf is where the fault's key was given, or the group that it is missing
// in; of one item of a list, where that stands.
func (l *loader) placeOf(f Fault) place {
	for key := f.Key; ; {
		if at, given := l.places[key]; given {
			if item, known := l.items[f.Key+" "+f.Value]; known && at.line > 0 {
				return item
			}
			return at
		}
		if at, given := l.places[key+fileSuffix]; given && l.keys[key].Redact != nil {
			return at
		}
		i := strings.LastIndex(key, ".")
		if i < 0 {
			return place{}
		}
		key = key[:i]
	}
}

func (l *loader) add(fault Fault, at place) { l.faults = append(l.faults, located{fault, at}) }

// warnOfSecrets looks whether others can use the file, if it holds secrets.
func (l *loader) warnOfSecrets(keys []Key) {
	warning := othersMayUse(l.sources.File)
	for _, k := range keys {
		text, is := k.Value.show().(string)
		if at := l.places[k.Name]; is && warning != "" && at.line > 0 && k.redacted(text) != text {
			l.add(Fault{Key: k.Name, Value: k.redacted(text), Must: "stands in a file that " + warning, Warning: true}, at)
		}
	}
}

// CheckSecretFile returns a warning if every user of the host may read or write
// the file. One that is not there is no matter of this check.
func CheckSecretFile(key, path string) error {
	if warning := othersMayUse(path); warning != "" {
		return Fault{Key: key, Value: path, Must: "holds a secret that " + warning, Warning: true}
	}
	return nil
}

func othersMayUse(path string) string {
	info, err := os.Stat(path)
	if err != nil || info.Mode()&0o007 == 0 {
		return ""
	}
	return fmt.Sprintf("every user of this host may use (mode %04o): chmod 600", info.Mode()&fs.ModePerm)
}
