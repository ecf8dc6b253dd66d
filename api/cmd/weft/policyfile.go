package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weft-sdn/weft/api"
)

// maxPolicyFile is the API's limit of a request.
const maxPolicyFile = 10 << 20

// policyFile is a declared set of policies. Apps are as they were typed.
type policyFile struct {
	name     string // for messages
	set      string
	policies []api.PolicyRequest
	lines    []int // where each policy starts
}

// fault is one thing that is wrong with a file.
type fault struct {
	line int
	text string
}

// faults is all that is wrong with it.
type faults struct {
	file string
	list []fault
}

func (f *faults) add(line int, format string, args ...any) {
	f.list = append(f.list, fault{line, fmt.Sprintf(format, args...)})
}

// err returns nil if nothing is wrong.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list, func(a, b fault) int { return cmp.Compare(a.line, b.line) })
	var lines []string
	for _, x := range f.list {
		lines = append(lines, fmt.Sprintf("%s:%d: %s", f.file, x.line, x.text))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// readPolicyFile reads a file, or in for "-". The error has every fault, each
// with its line.
func readPolicyFile(name string, in io.Reader) (*policyFile, error) {
	if name == "" {
		return nil, errors.New("-f is missing: give the file with the policies, or - for standard input")
	}
	shown := name
	if name == "-" {
		shown = "standard input"
	} else {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("reading policies: %w", err)
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxPolicyFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading policies: %w", err)
	case len(text) > maxPolicyFile:
		return nil, fmt.Errorf("reading policies: %s is longer than %d MiB: make several sets of it", shown, maxPolicyFile>>20)
	}
	return parsePolicies(shown, text)
}

// parsePolicies reads the text of a file.
func parsePolicies(name string, text []byte) (*policyFile, error) {
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:1: the file is empty: it takes set: NAME and policies: [...]", name)
	} else if err != nil {
		return nil, fmt.Errorf("%s: %s", name, yamlText(err))
	}
	r := &policyReader{faults: faults{file: name}, file: &policyFile{name: name}}
	if err := decoder.Decode(&second); err == nil {
		r.faults.add(second.Line, "a second document: one file is one set")
	} else if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", name, yamlText(err))
	}
	r.readFile(document.Content[0])
	return r.file, r.faults.err()
}

// policyReader walks the nodes of one file.
type policyReader struct {
	faults
	file *policyFile
}

// fields calls the function of each key of a mapping, once, and returns which keys it has.
func (r *policyReader) fields(n *yaml.Node, what string, take map[string]func(*yaml.Node)) map[string]bool {
	n = follow(n)
	seen := map[string]bool{}
	if n.Kind != yaml.MappingNode {
		r.add(n.Line, "%s is %s, but must be keys and values: %s", what, kindText(n), keysText(take))
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, known := take[key.Value]
		switch {
		case !known:
			r.add(key.Line, "%s has no key %q: it takes %s", what, key.Value, keysText(take))
		case seen[key.Value]:
			r.add(key.Line, "%s is there twice", key.Value)
		default:
			read(follow(value))
		}
		seen[key.Value] = true
	}
	return seen
}

func (r *policyReader) readFile(n *yaml.Node) {
	var policies *yaml.Node
	seen := r.fields(n, "the file", map[string]func(*yaml.Node){
		"set":      r.text("set", 255, &r.file.set),
		"policies": func(n *yaml.Node) { policies = n },
	})
	switch {
	case seen == nil:
		return
	case !seen["set"]:
		r.add(n.Line, "set is missing: a name for what this file declares, such as set: shop")
	}
	switch {
	case policies == nil:
		r.add(n.Line, "policies is missing: a list, or [] for none")
		return
	case policies.Kind != yaml.SequenceNode:
		r.add(policies.Line, "policies is %s, but must be a list, or [] for none", kindText(policies))
		return
	}
	first := map[string]int{}
	for _, item := range policies.Content {
		p, whole := r.readPolicy(follow(item))
		if !whole {
			continue
		}
		if line := first[policyText(p)]; line != 0 {
			r.add(item.Line, "%s is there twice: first on line %d", policyText(p), line)
			continue
		}
		first[policyText(p)] = item.Line
		r.file.policies = append(r.file.policies, p)
		r.file.lines = append(r.file.lines, item.Line)
	}
}

// readPolicy reads one policy, and reports whether nothing is wrong with it.
func (r *policyReader) readPolicy(n *yaml.Node) (api.PolicyRequest, bool) {
	before := len(r.list)
	p := api.PolicyRequest{Protocol: "tcp"}
	seen := r.fields(n, "a policy", map[string]func(*yaml.Node){
		"from":        r.text("from", 255, &p.Source),
		"to":          r.text("to", 255, &p.Destination),
		"name":        r.text("name", 255, &p.Name),
		"description": r.text("description", 1024, &p.Description),
		"labels":      func(n *yaml.Node) { p.Labels = r.readLabels(n) },
		"protocol": func(n *yaml.Node) {
			r.text("protocol", 255, &p.Protocol)(n)
			if p.Protocol != "tcp" && p.Protocol != "udp" {
				r.add(n.Line, "protocol %q: must be tcp or udp", p.Protocol)
			}
		},
		"ports": func(n *yaml.Node) {
			var text string
			before := len(r.list)
			if r.text("ports", 255, &text)(n); len(r.list) > before {
				return
			}
			var err error
			if p.Ports, err = api.ParsePorts(text); err != nil {
				r.add(n.Line, "ports %v", err)
			}
		},
	})
	for _, key := range []string{"from", "to", "ports"} {
		if seen != nil && !seen[key] {
			r.add(n.Line, "%s is missing: a policy takes from, to and ports", key)
		}
	}
	return p, len(r.list) == before
}

// text reads a value that is not empty, as it is written.
func (r *policyReader) text(key string, maxBytes int, into *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		switch {
		case n.Kind != yaml.ScalarNode:
			r.add(n.Line, "%s is %s, but must be one value", key, kindText(n))
		case n.Value == "" || n.Tag == "!!null":
			r.add(n.Line, "%s is empty: give a value, or leave the key out where it may be missing", key)
		case len(n.Value) > maxBytes:
			r.add(n.Line, "%s has %d bytes, more than %d", key, len(n.Value), maxBytes)
		default:
			*into = n.Value
		}
	}
}

func (r *policyReader) readLabels(n *yaml.Node) map[string]string {
	if n.Kind != yaml.MappingNode {
		r.add(n.Line, "labels is %s, but must be keys and values, such as {team: shop}", kindText(n))
		return nil
	}
	if len(n.Content)/2 > 32 {
		r.add(n.Line, "labels are %d, more than 32", len(n.Content)/2)
		return nil
	}
	labels := map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], follow(n.Content[i+1])
		_, twice := labels[key.Value]
		switch {
		case key.Value == "" || len(key.Value) > 63:
			r.add(key.Line, "label %q: the key must have 1 to 63 bytes", key.Value)
		case twice:
			r.add(key.Line, "label %s is there twice", key.Value)
		case value.Kind != yaml.ScalarNode:
			r.add(value.Line, "label %s is %s, but must be one value", key.Value, kindText(value))
		case len(value.Value) > 255:
			r.add(value.Line, "label %s has %d bytes, more than 255", key.Value, len(value.Value))
		default:
			labels[key.Value] = value.Value
		}
	}
	return labels
}

// follow returns what an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// kindText says what somebody wrote.
func kindText(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "empty"
	}
	return fmt.Sprintf("%q", n.Value)
}

func keysText(take map[string]func(*yaml.Node)) string {
	var keys []string
	for key := range take {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}

// policyText is what tells one policy from another.
func policyText(p api.PolicyRequest) string {
	return fmt.Sprintf("%s -> %s %s %s", p.Source, p.Destination, p.Protocol, p.Ports)
}
