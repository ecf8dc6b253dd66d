package settings

import (
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Value is where a key's value goes, and what it may be.
type Value struct {
	kind string // for the documentation, such as "whole number"
	text bool   // whatever a flag or variable holds is meant as it is
	list bool
	set  func(*yaml.Node) *mismatch // nil: it was of the kind, and is set
	show func() any                 // what yaml is to encode
}

// mismatch is a value, or an item of a list, that is not of the key's kind.
type mismatch struct {
	node *yaml.Node
	must string
}

// Text is a key that takes any text.
func Text(target *string) Value {
	v := scalar(target, "text", "!!str", "must be text; put it in quotes")
	v.text = true
	return v
}

// Bool is a key that takes true or false.
func Bool(target *bool) Value {
	return scalar(target, "true or false", "!!bool", "must be true or false")
}

// Number is a key that takes a whole number of T's range.
func Number[T int | uint32](target *T) Value {
	return scalar(target, "whole number", "!!int", "must be a whole number")
}

// scalar takes exactly one kind: what only looks alike is never papered over,
// as "vni: 1e1" is not 10.
func scalar[T any](target *T, kind, tag, must string) Value {
	return Value{
		kind: kind,
		set: func(node *yaml.Node) *mismatch {
			var v T
			if node.Kind != yaml.ScalarNode || node.ShortTag() != tag || node.Decode(&v) != nil {
				return &mismatch{node, must}
			}
			*target = v
			return nil
		},
		show: func() any { return *target },
	}
}

// Duration is a key that takes a number with its unit, such as 5m.
func Duration(target *time.Duration) Value {
	return Value{
		kind: "duration",
		text: true,
		set: func(node *yaml.Node) *mismatch {
			d, err := time.ParseDuration(node.Value)
			if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!str" || err != nil {
				return &mismatch{node, "must be a duration with its unit, such as 5m or 0s"}
			}
			*target = d
			return nil
		},
		show: func() any { return shortDuration(*target) },
	}
}

// shortDuration leaves out the zeros with which time ends: 1h0m0s is 1h.
func shortDuration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// Texts is a key that takes a list of texts.
func Texts(target *[]string) Value {
	same := func(text string) string { return text }
	return List(target, func(text string) (string, error) { return text, nil }, same, "text")
}

// List is a key that takes a list of what parse reads and print writes. The kind
// is what an item must be, for people.
func List[T any](target *[]T, parse func(string) (T, error), print func(T) string, kind string) Value {
	return Value{
		kind: "list of " + kind,
		list: true,
		set: func(node *yaml.Node) *mismatch {
			if node.Kind != yaml.SequenceNode {
				return &mismatch{node, "must be a list of " + kind + ", in brackets"}
			}
			var all []T
			for _, item := range node.Content {
				v, err := parse(item.Value)
				if item.Kind != yaml.ScalarNode || item.ShortTag() == "!!null" || err != nil {
					return &mismatch{item, "must be " + kind}
				}
				all = append(all, v)
			}
			*target = all
			return nil
		},
		show: func() any {
			texts := make([]string, len(*target))
			for i, v := range *target {
				texts[i] = print(v)
			}
			return texts
		},
	}
}

// parse reads what a flag or an environment variable holds: text as it is, a
// list also with commas and without brackets.
func (v Value) parse(text string) *yaml.Node {
	text = strings.TrimSpace(text)
	if v.list && !strings.HasPrefix(text, "[") {
		text = "[" + text + "]"
	}
	var document yaml.Node
	if v.text || yaml.Unmarshal([]byte(text), &document) != nil || len(document.Content) == 0 {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	}
	return document.Content[0]
}

// inline is the YAML of a value in one line.
func inline(value any) string {
	node, is := value.(*yaml.Node)
	if !is {
		node = &yaml.Node{}
		if err := node.Encode(value); err != nil {
			return fmt.Sprint(value)
		}
	}
	flow := *node
	flow.Style |= yaml.FlowStyle
	flow.HeadComment, flow.LineComment, flow.FootComment = "", "", ""
	text, err := yaml.Marshal(&flow)
	if err != nil {
		return node.Value
	}
	return strings.TrimSpace(string(text))
}

// inlineNode is a part of a file in one line: a plain value as it is.
func inlineNode(node *yaml.Node) string {
	if node.Kind == yaml.ScalarNode {
		return node.Value
	}
	return inline(node)
}
