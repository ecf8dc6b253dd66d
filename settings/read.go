package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readFile sets what the file has, and reports everything in it that is no key.
func (l *loader) readFile() {
	if l.sources.File == "" {
		return
	}
	file, err := os.Open(l.sources.File)
	if err != nil {
		l.unread = true
		l.add(Fault{Must: "reading the configuration: " + reason(err)}, place{})
		return
	}
	defer file.Close()
	var document yaml.Node
	decoder := yaml.NewDecoder(file)
	if err := decoder.Decode(&document); err != nil {
		if !errors.Is(err, io.EOF) { // an empty file has no key
			l.unread = true
			l.addSyntax(err)
		}
		return
	}
	root := document.Content[0]
	switch {
	case root.Kind == yaml.MappingNode:
		l.readMapping("", root)
	case root.ShortTag() != "!!null":
		l.add(Fault{Must: `must be keys with values, such as "log_level: info"`}, place{line: root.Line})
	}
	var more yaml.Node
	if err := decoder.Decode(&more); err == nil {
		l.add(Fault{Must: "a second document begins after ---; only the first would count"}, place{line: more.Line})
	} else if !errors.Is(err, io.EOF) {
		l.addSyntax(err)
	}
}

var syntaxLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)

// addSyntax reports what is not YAML, where the parser says that it is.
func (l *loader) addSyntax(err error) {
	text := strings.ReplaceAll(err.Error(), "\n", " ")
	if strings.Contains(text, "unknown anchor") { // the parser's text has what may be a secret
		text = "not YAML: a value that begins with * must stand in quotes"
		l.add(Fault{Must: text}, place{})
		return
	}
	parts := syntaxLine.FindStringSubmatch(text)
	line, _ := strconv.Atoi(parts[1]) // "": 0, no line
	l.add(Fault{Must: "not YAML: " + parts[2]}, place{line: line})
}

// readMapping reads the keys of a group; "" is the whole file.
func (l *loader) readMapping(group string, mapping *yaml.Node) {
	seen := map[string]int{}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		name, node := inlineNode(mapping.Content[i]), mapping.Content[i+1]
		if group != "" {
			name = group + "." + name
		}
		at := place{line: mapping.Content[i].Line}
		if first, again := seen[name]; again {
			l.add(Fault{Must: fmt.Sprintf("%s: is given twice; first in line %d", name, first)}, at)
			continue
		}
		seen[name] = at.line
		if node.Kind == yaml.AliasNode {
			node = node.Alias
		}
		l.readNode(name, node, at)
	}
}

func (l *loader) readNode(name string, node *yaml.Node, at place) {
	key, known := l.keys[name]
	switch {
	case known:
		l.set(key, node, at)
	case l.groups[name] && node.Kind == yaml.MappingNode:
		l.places[name] = at
		l.readMapping(name, node)
	case l.groups[name] && node.ShortTag() == "!!null":
		l.places[name] = at // a group whose keys are all comments
	case l.groups[name]:
		l.add(Fault{Must: name + ": must hold keys: " + strings.Join(l.within(name), ", ")}, at)
	default:
		l.add(Fault{Must: name + ": no such key" + l.suggestion(name)}, at)
	}
}

// set gives a key its value. A value that is not of its kind is reported where
// it stands, which in a list is the item's line.
func (l *loader) set(key Key, node *yaml.Node, at place) {
	twin := key.Name + fileSuffix // the same secret, given in the other way
	secret, isFile := strings.CutSuffix(key.Name, fileSuffix)
	if isFile = isFile && l.keys[secret].Redact != nil; isFile {
		twin = secret
	}
	if other, given := l.places[twin]; given && other.source() == at.source() {
		l.add(Fault{Must: key.Name + ": must not be given together with " + twin}, at)
		return
	}
	l.places[key.Name] = at
	bad := key.Value.set(node)
	if bad == nil {
		if isFile {
			if warning, is := CheckSecretFile(key.Name, node.Value).(Fault); is {
				l.add(warning, at)
			}
		}
		for _, item := range node.Content {
			l.items[key.Name+" "+item.Value] = place{line: item.Line}
		}
		return
	}
	if at.line > 0 && bad.node.Line > 0 {
		at.line = bad.node.Line
	}
	l.add(Fault{Key: key.Name, Value: key.given(bad.node), Must: bad.must}, at)
}

// given is a value of the key as it stands in the file, without secrets: of a
// secret that is no plain value nobody knows which part is secret.
func (k Key) given(node *yaml.Node) string {
	if k.Redact != nil && node.Kind != yaml.ScalarNode {
		return "***"
	}
	return k.redacted(inlineNode(node))
}

// within lists the keys of a group.
func (l *loader) within(group string) []string {
	var names []string
	for name := range l.keys {
		if strings.HasPrefix(name, group+".") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// fromFile sets a secret from the file that a value names.
func fromFile(secret Key) func(*yaml.Node) *mismatch {
	return func(node *yaml.Node) *mismatch {
		if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!str" {
			return &mismatch{node, "must be the path of a file"}
		}
		text, err := os.ReadFile(node.Value)
		if err != nil {
			return &mismatch{node, reason(err)}
		}
		value := strings.TrimRight(string(text), "\r\n")
		if value == "" {
			return &mismatch{node, "the file is empty"}
		}
		return secret.Value.set(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value})
	}
}

// reason is an error about a file without the path, which the fault names.
func reason(err error) string {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}
