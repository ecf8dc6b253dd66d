package settings

import (
	"fmt"
	"os"
	"strings"
)

// The generated parts of a document stand between these markers, with the
// part's name in the first.
const (
	beginMarker = "<!-- generated: "
	endMarker   = "<!-- end of generated part -->"
)

// Markdown is the table of all keys. Their values must be the defaults.
func Markdown(keys []Key) string {
	var b strings.Builder
	b.WriteString("| key | type | default | meaning | example |\n|---|---|---|---|---|\n")
	for _, k := range keys {
		example := ""
		if k.Example != "" {
			example = "`" + k.Example + "`"
		}
		meaning := k.Meaning
		if k.Redact != nil {
			meaning += " A secret: `" + k.Name + fileSuffix + "` names a file that holds it."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Name, k.Value.kind, k.defaultText(), meaning, example)
	}
	return b.String()
}

// Regenerate replaces the part of a document that has the name.
func Regenerate(document, name, part string) (string, error) {
	begin := beginMarker + name + " -->\n"
	before, rest, found := strings.Cut(document, begin)
	_, after, ended := strings.Cut(rest, endMarker)
	if !found || !ended {
		return "", fmt.Errorf("no part between %q and %q", strings.TrimSpace(begin), endMarker)
	}
	return before + begin + part + endMarker + after, nil
}

// rewrite brings a document's part up to date.
func rewrite(path, name, part string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fresh, err := Regenerate(string(text), name, part)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(fresh), 0o644)
}
