package settings

import (
	"fmt"
	"io"
	"strings"
)

// show writes the configuration as it is now, as YAML that Load reads again;
// secrets are redacted. Behind each key stands where its value is from.
func (l *loader) show(w io.Writer, keys []Key) {
	var group []string
	for _, k := range keys {
		path := strings.Split(k.Name, ".")
		group = header(group, path, func(depth int, name string) {
			fmt.Fprintf(w, "%s%s:\n", strings.Repeat("  ", depth), name)
		})
		depth := len(path) - 1
		fmt.Fprintf(w, "%s%s: %s # %s\n", strings.Repeat("  ", depth), path[depth], k.shown(), l.origin(k))
	}
}

func (l *loader) origin(k Key) string {
	for _, name := range []string{k.Name + fileSuffix, k.Name} {
		switch at, given := l.places[name]; {
		case !given:
		case at.other != "":
			return at.other
		default:
			return fmt.Sprintf("line %d", at.line)
		}
	}
	return "default"
}

// header calls write for each group that begins before the key at path, after a
// key of the group before.
func header(before, path []string, write func(depth int, name string)) []string {
	same := true
	for depth, name := range path[:len(path)-1] {
		same = same && depth < len(before) && before[depth] == name
		if !same {
			write(depth, name)
		}
	}
	return path[:len(path)-1]
}
