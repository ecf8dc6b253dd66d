package main

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/weft-sdn/weft/flows"
)

// The generated parts of docs/pipeline.md stand between these markers, with
// the part's name in the first.
const (
	beginMarker = "<!-- generated: "
	endMarker   = "<!-- end of generated part -->"
)

// rewrite brings the generated parts of a document up to date.
func rewrite(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fresh, err := regenerate(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if fresh == string(text) {
		return nil
	}
	return os.WriteFile(path, []byte(fresh), 0o644)
}

// regenerate replaces what stands between markers and leaves the rest. Each
// part must be there once.
func regenerate(text string) (string, error) {
	parts := parts()
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, beginMarker)
		out.WriteString(before)
		if !found {
			break
		}
		name, rest, _ := strings.Cut(rest, " -->\n")
		part, known := parts[name]
		if !known {
			return "", fmt.Errorf("marker for %q: no such part, or the second time", name)
		}
		delete(parts, name)
		_, after, found := strings.Cut(rest, endMarker)
		if !found {
			return "", fmt.Errorf("part %q does not end in %s", name, endMarker)
		}
		out.WriteString(beginMarker + name + " -->\n" + part + endMarker)
		text = after
	}
	for name := range parts {
		return "", fmt.Errorf("no marker for part %q: a table without a section", name)
	}
	return out.String(), nil
}

// parts generates everything that is data: the list of tables, the registers,
// and each table's facts.
func parts() map[string]string {
	out := map[string]string{"tables": tableList(), "registers": registerList()}
	example := flows.Compile(exampleCell())
	for _, c := range flows.Contracts() {
		out["table "+c.Name] = facts(c, example)
	}
	return out
}

func tableList() string {
	var b strings.Builder
	b.WriteString("| # | table | question | next |\n|---|---|---|---|\n")
	for _, c := range flows.Contracts() {
		fmt.Fprintf(&b, "| %d | [`%s`](#%s) | %s | %s |\n", c.ID, c.Name, c.Name, c.Question, code(names(c.Next)))
	}
	return b.String()
}

func registerList() string {
	var b strings.Builder
	b.WriteString("| field | bits | meaning |\n|---|---|---|\n")
	for _, r := range flows.Registers() {
		fmt.Fprintf(&b, "| `%s` | `%v` | %s", r.Name, r, r.Doc)
		for _, v := range r.Values {
			fmt.Fprintf(&b, "<br>%d `%s`: %s", v.Number, v.Name, v.Doc)
		}
		b.WriteString(" |\n")
	}
	fmt.Fprintf(&b, "\nConntrack zones: overlay %d, glare %d (always empty).\n", flows.ZoneOverlay, flows.ZoneGlare)
	return b.String()
}

// facts are a table's contract and its flows in the example cell.
func facts(c flows.Contract, example flows.Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n\n| | |\n|---|---|\n", c.Question)
	fmt.Fprintf(&b, "| number, file | %d, `flows/%s` |\n", c.ID, c.File)
	fmt.Fprintf(&b, "| why here | %s |\n", c.Why)
	fmt.Fprintf(&b, "| reads | %s |\n", code(c.Reads))
	fmt.Fprintf(&b, "| writes | %s |\n", code(c.Writes))
	fmt.Fprintf(&b, "| conntrack | %s |\n", code(c.Tracks))
	fmt.Fprintf(&b, "| outputs to | %s |\n", code(c.Outputs))
	fmt.Fprintf(&b, "| next | %s |\n", code(names(c.Next)))
	fmt.Fprintf(&b, "| its last flow counts | %s |\n\n```\n", c.Drop)
	var its []string
	for _, f := range example {
		if f.Table == c.ID {
			its = append(its, f.String()+"\n")
		}
	}
	if len(its) > mostFlows { // the same again and again: the first ones, and the last, which counts
		left := fmt.Sprintf("… and %d more of the kind\n", len(its)-fewFlows-1)
		its = append(its[:fewFlows:fewFlows], left, its[len(its)-1])
	}
	b.WriteString(strings.Join(its, "") + "```\n")
	return b.String()
}

// A table's part of the document has at most mostFlows flows of the example, or
// of a table that has more, fewFlows and its last one.
const mostFlows, fewFlows = 30, 7

func names(tables []flows.TableID) []string {
	var out []string
	for _, t := range tables {
		out = append(out, t.String())
	}
	return out
}

func code(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return "`" + strings.Join(words, "` `") + "`"
}

// exampleCell is the cell that the document speaks of: the frontend's cell-2
// elsewhere, a backend here, and policy 7 between them.
func exampleCell() flows.CellState {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	return flows.CellState{
		Cell: "cell-1", VNI: 1, Lease: prefix("10.255.1.0/24"), Overlay: []netip.Prefix{prefix("10.255.0.0/16")},
		Local: []flows.Endpoint{{Container: "c2", App: "backend", Group: 102, IP: addr("10.255.1.3"), OFPort: 12,
			Egress: "tcp 198.51.100.0-198.51.100.255 443"}},
		Services: []flows.Service{{Protocol: flows.UDP, Addr: addr("169.254.0.2"), Port: 53}},
		Deny:     []netip.Prefix{prefix("192.0.2.0/24")},
		Remote:   []flows.Peer{{Cell: "cell-2", VTEP: addr("172.31.0.2"), Lease: prefix("10.255.2.0/24")}},
		Allow:    []flows.Rule{{Policy: 7, From: 101, To: 102, Protocol: flows.TCP, Ports: flows.PortRange{First: 8080, Last: 8080}}},
	}
}
