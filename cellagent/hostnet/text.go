package hostnet

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// table is the text of an nftables table as it grows.
type table struct {
	family string
	text   strings.Builder
}

// name is that of all our tables, one per family.
const name = "weft"

func newTable(family string) *table {
	t := &table{family: family}
	fmt.Fprintf(&t.text, "table %s %s {\n", family, name)
	return t
}

// counters declares named counters.
func (t *table) counters(names ...string) {
	for _, n := range names {
		fmt.Fprintf(&t.text, "\tcounter %s {\n\t}\n", n)
	}
}

// limits declares a set that remembers for each key what it used of a limit.
// An element that is not used for the time given is forgotten. A set that is
// full limits no further key: it must have room for all that there may be.
func (t *table) limits(set, key string, room int, forget string) {
	fmt.Fprintf(&t.text, "\tset %s {\n\t\ttype %s\n\t\tsize %d\n\t\tflags dynamic,timeout\n\t\ttimeout %s\n\t}\n", set, key, room, forget)
}

// senders is how many addresses a set has room for: an overlay's. The bridge lets
// no others pass.
const senders = 65535

// chain starts a chain after saying what it is for.
func (t *table) chain(chain, why string, rules ...string) {
	fmt.Fprintf(&t.text, "\n\t# %s\n\tchain %s {\n", why, chain)
	for _, r := range rules {
		if r != "" {
			fmt.Fprintf(&t.text, "\t\t%s\n", r)
		}
	}
	t.text.WriteString("\t}\n")
}

func (t *table) String() string { return t.text.String() + "}\n" }

// base is the first line of a chain that packets enter by themselves.
func base(kind, hook, priority string) string {
	return fmt.Sprintf("type %s hook %s priority %s; policy accept;", kind, hook, priority)
}

// over matches what exceeds a rate, whose bucket holds one second's worth.
func over(perSec int) string {
	return fmt.Sprintf("limit rate over %d/second burst %d packets", perSec, perSec)
}

// overEach matches what exceeds a rate that each key of a set has for itself.
func overEach(set, key string, perSec, burst int) string {
	return each(set, key, "rate over", perSec, burst)
}

// withinEach matches what does not.
func withinEach(set, key string, perSec, burst int) string {
	return each(set, key, "rate", perSec, burst)
}

func each(set, key, rate string, perSec, burst int) string {
	return fmt.Sprintf("update @%s { %s limit %s %d/second burst %d packets }", set, key, rate, perSec, burst)
}

func count(counter string) string { return "counter name " + counter }

func logging(prefix string) string {
	return fmt.Sprintf("log prefix %q group %d snaplen %d", prefix, LogGroup, SnapLen)
}

// answer is the chain that rejects, within the limits, and drops the rest.
func (s State) answer(t *table) {
	rules := []string{
		overEach("answers", "ip saddr", s.Answers.PerContainer, s.Answers.PerContainer) + " " + count("muted_container") + " drop",
		over(s.Answers.PerCell) + " " + count("muted_cell") + " drop",
		count("answered"),
		"meta l4proto tcp reject with tcp reset",
		"reject with icmp type port-unreachable",
	}
	if s.Mute && t.family == familyBridge {
		rules = []string{count("unanswerable") + " drop"}
	}
	t.chain("answer", "A container is answered at a limited rate, and the cell as a whole.", rules...)
}

// objects are the names that a table declares, in its text or as it is listed.
var objects = regexp.MustCompile(`(?m)^\t(?:chain|set|map|counter) \w+ \{`)

// objectsOf tells tables of another make apart, whatever their rules are.
func objectsOf(text string) string {
	all := objects.FindAllString(text, -1)
	slices.Sort(all)
	return strings.Join(all, "")
}
