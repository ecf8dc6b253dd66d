package settings

import (
	"fmt"
	"regexp"
	"strings"
)

// textWidth of the comments in an example file.
const textWidth = 88

// Example is a file that explains every key. A key that has an Init is set, the
// others stand there with their example or default as a comment: without the #
// before it, a line counts. Values must be the defaults.
func Example(program string, keys []Key) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s --config FILE. Every key is here; to use one that is a comment,\n", program)
	fmt.Fprintf(&b, "# remove the # before it and before its group.\n")
	active := map[string]bool{}
	for _, k := range keys {
		for group := range groups([]Key{k}) {
			active[group] = active[group] || k.Init != ""
		}
	}
	var group []string
	for _, k := range keys {
		path := strings.Split(k.Name, ".")
		depth := len(path) - 1
		b.WriteString("\n")
		group = header(group, path, func(depth int, name string) {
			line(&b, depth, active[strings.Join(path[:depth+1], ".")], name+":")
		})
		value := k.Init
		if value == "" {
			value = k.Example
		}
		if value == "" {
			value = k.shown()
		}
		meaning := plain(k.Meaning) + " Default: " + k.defaultText() + "."
		for _, text := range wrap(meaning, textWidth-2*depth) {
			fmt.Fprintf(&b, "%s# %s\n", strings.Repeat("  ", depth), text)
		}
		line(&b, depth, k.Init != "", path[depth]+": "+value)
	}
	return b.String()
}

func line(b *strings.Builder, depth int, active bool, text string) {
	mark := "#"
	if active {
		mark = ""
	}
	fmt.Fprintf(b, "%s%s%s\n", strings.Repeat("  ", depth), mark, text)
}

var link = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)

// plain is Markdown without its marks.
func plain(text string) string {
	return link.ReplaceAllString(strings.ReplaceAll(text, "`", ""), "docs/$1")
}

// wrap breaks a text into lines of at most width characters, where it can.
func wrap(text string, width int) (lines []string) {
	current := ""
	for _, word := range strings.Fields(text) {
		if current != "" && len(current)+1+len(word) > width {
			lines, current = append(lines, current), ""
		}
		current = strings.TrimSpace(current + " " + word)
	}
	return append(lines, current)
}
