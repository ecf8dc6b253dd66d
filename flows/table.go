package flows

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// OpenFlow is the protocol version whose flow text is canonical here, as
// ovs-ofctl's -O wants it. The text depends on the version: what 1.4 prints as
// load:0x1->NXM_NX_REG4[0..1] is a masked set_field in 1.5, and goto_table is
// a resubmit in 1.0. So: dump with -O OpenFlow14.
const OpenFlow = "OpenFlow14"

// defaultPriority is the one that OVS does not print.
const defaultPriority = 32768

// Flow is one OpenFlow flow in canonical text: what ovs-ofctl prints over
// OpenFlow 1.4, with table names and port numbers. Flows are comparable: equal
// text is equal meaning.
type Flow struct {
	Table    TableID
	Priority uint16
	Cookie   Cookie
	Match    string // "" matches every packet
	Actions  string // "drop" if there is nothing to do
}

// String returns the flow as `ovs-ofctl --names --no-stats dump-flows` prints
// it, except that ports are numbers (their names are OVSDB's matter).
func (f Flow) String() string { return string(f.appendText(nil)) }

// AppendText appends what String returns. It never fails.
func (f Flow) AppendText(b []byte) ([]byte, error) { return f.appendText(b), nil }

// MarshalText returns what String returns. It never fails.
func (f Flow) MarshalText() ([]byte, error) { return f.appendText(nil), nil }

// UnmarshalText reads a flow as ParseFlow does.
func (f *Flow) UnmarshalText(text []byte) (err error) {
	*f, err = ParseFlow(string(text))
	return err
}

func (f Flow) appendText(b []byte) []byte {
	if f.Cookie != 0 { // OVS does not print the cookie 0 without statistics
		b = append(b, "cookie=0x"...)
		b = strconv.AppendUint(b, uint64(f.Cookie), 16)
		b = append(b, ", "...)
	}
	b = append(b, "table="...)
	b = append(b, f.Table.String()...)
	separator := ", "
	if f.Priority != defaultPriority {
		b = append(b, ", priority="...)
		b = strconv.AppendUint(b, uint64(f.Priority), 10)
		separator = ","
	}
	if f.Match != "" {
		b = append(append(b, separator...), f.Match...)
	}
	return append(append(b, " actions="...), f.Actions...)
}

// compareFlows orders by table, then priority from high to low, then match.
func compareFlows(a, b Flow) int {
	return cmp.Or(
		compareKeys(a, b),
		cmp.Compare(a.Cookie, b.Cookie),
		cmp.Compare(a.Actions, b.Actions),
	)
}

// compareKeys compares what identifies a flow to the switch.
func compareKeys(a, b Flow) int {
	return cmp.Or(
		cmp.Compare(a.Table, b.Table),
		-cmp.Compare(a.Priority, b.Priority),
		cmp.Compare(a.Match, b.Match),
	)
}

// Table is a cell's flows in the order in which a packet may meet them: by
// table, then priority from high to low, then match.
type Table []Flow

// String returns one line per flow, in order.
func (t Table) String() string {
	b := make([]byte, 0, len(t)*160)
	for _, f := range t {
		b = append(f.appendText(b), '\n')
	}
	return string(b)
}

// ParseTable is ParseFlows in the order of Table.
func ParseTable(text string) (Table, error) {
	table, err := ParseFlows(text)
	slices.SortFunc(table, compareFlows)
	return table, err
}

// ParseFlows reads what ovs-ofctl dump-flows prints, in the order of the text.
// Empty lines and the header line (OFPST_FLOW, NXST_FLOW) are skipped. The error
// names the first line that is not a flow.
func ParseFlows(text string) (Table, error) {
	table := make(Table, 0, strings.Count(text, "\n")+1)
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "OFPST_FLOW ") || strings.HasPrefix(line, "NXST_FLOW ") {
			continue
		}
		f, err := ParseFlow(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		table = append(table, f)
	}
	return table, nil
}

// Same reports whether these are the flows of the fragments, in whatever order:
// what Diff would say, without sorting.
func Same(have []Flow, fragments iter.Seq[Fragment]) bool {
	left := make(map[Flow]struct{}, len(have))
	for _, f := range have {
		left[f] = struct{}{}
	}
	for fragment := range fragments {
		for _, f := range fragment.Flows {
			if _, is := left[f]; !is {
				return false
			}
			delete(left, f)
		}
	}
	return len(left) == 0
}

// Union joins fragments to the table that they describe.
func Union(fragments []Fragment) Table {
	n := 0
	for _, f := range fragments {
		n += len(f.Flows)
	}
	table := make(Table, 0, n)
	for _, f := range fragments {
		table = append(table, f.Flows...)
	}
	slices.SortFunc(table, compareFlows)
	return table
}

// Diff returns what turns have into want: add holds the new and the changed
// flows (adding one replaces the flow of the same table, priority and match),
// remove those that are no longer wanted. Both are in the order of Table.
func Diff(have, want Table) (add, remove []Flow) {
	have, want = inOrder(have), inOrder(want)
	for len(have) > 0 || len(want) > 0 {
		switch c := compareHeads(have, want); {
		case c < 0:
			remove, have = append(remove, have[0]), have[1:]
		case c > 0:
			add, want = append(add, want[0]), want[1:]
		default:
			if have[0] != want[0] {
				add = append(add, want[0])
			}
			have, want = have[1:], want[1:]
		}
	}
	return add, remove
}

// Patch is the inverse of Diff: it returns the table that add and remove, each in
// the order of Table, make of have. Error: have is another table than they were
// made for, since a flow that is to go is not in it.
func Patch(have Table, add, remove []Flow) (Table, error) {
	have = inOrder(have)
	out := make(Table, 0, len(have)+len(add))
	for len(have) > 0 || len(add) > 0 {
		switch c := compareHeads(have, add); {
		case c < 0 && len(remove) > 0 && have[0] == remove[0]:
			have, remove = have[1:], remove[1:]
		case c < 0:
			out, have = append(out, have[0]), have[1:]
		case c > 0:
			out, add = append(out, add[0]), add[1:]
		default:
			out, have, add = append(out, add[0]), have[1:], add[1:]
		}
	}
	if len(remove) > 0 {
		return nil, fmt.Errorf("flow %q is to be removed, and is not there", remove[0])
	}
	return out, nil
}

func compareHeads(have, want Table) int {
	if len(have) == 0 {
		return +1
	}
	if len(want) == 0 {
		return -1
	}
	return compareKeys(have[0], want[0])
}

func inOrder(t Table) Table {
	if slices.IsSortedFunc(t, compareFlows) {
		return t
	}
	return Table(slices.SortedFunc(slices.Values(t), compareFlows))
}
