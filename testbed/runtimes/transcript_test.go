package runtimes

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/testbed/bench"
)

// document has the transcripts, each between the lines of its name.
const document = "../../docs/cni.md"

// transcript is what somebody types on a cell, and what comes back: a part of
// docs/cni.md.
type transcript struct {
	*cell
	name string
	text strings.Builder
}

func (c *cell) transcript(name string) *transcript { return &transcript{cell: c, name: name} }

// do runs a command on the cell, which must succeed, and returns what it printed
// on its standard output.
func (s *transcript) do(command string) string {
	s.Helper()
	return s.as("cell", command, command)
}

// outside is do on the host outside.
func (s *transcript) outside(command string) string {
	s.Helper()
	return s.as("outside", command, "ip netns exec outside busybox "+command)
}

// sees is do for a command whose output must have the words.
func (s *transcript) sees(command string, words ...string) {
	s.Helper()
	s.has(s.do(command), words...)
}

func (s *transcript) has(got string, words ...string) {
	s.Helper()
	for _, w := range words {
		if !strings.Contains(got, w) {
			s.Errorf("there is no %q in\n%s", w, got)
		}
	}
}

// endpoints is `weft endpoints` once it lists just these apps' containers: it
// follows what the agent sees, some milliseconds later.
func (s *transcript) endpoints(apps ...string) {
	s.Helper()
	const command = "weft endpoints"
	var out string
	s.eventually(fmt.Sprint("endpoints are of ", apps), func() error {
		out = s.must(command)
		var listed []string
		for row := range strings.Lines(out) {
			if columns := strings.Fields(row); columns[0] == "cell-1" {
				listed = append(listed, columns[2])
			}
		}
		slices.Sort(listed)
		if !slices.Equal(listed, apps) {
			return fmt.Errorf("listed are\n%s", out)
		}
		return nil
	})
	s.note("cell", command, out)
}

func (s *transcript) as(where, shown, run string) string {
	s.Helper()
	out := s.must(run)
	s.note(where, shown, out)
	return out
}

func (s *transcript) note(where, shown, out string) {
	fmt.Fprintf(&s.text, "%s# %s\n%s", where, shown, out)
	if out != "" && !strings.HasSuffix(out, "\n") {
		s.text.WriteString("\n")
	}
}

// end compares the transcript with the document, or writes it there.
func (s *transcript) end() {
	s.Helper()
	begin, end := fmt.Sprintf("<!-- transcript %s -->", s.name), "<!-- end of transcript -->"
	if *update {
		if err := bench.RewritePart(document, begin, end, "```\n"+s.text.String()+"```\n"); err != nil {
			s.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(document)
	if err != nil {
		s.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), begin)
	part, _, _ := strings.Cut(after, end)
	part = strings.TrimSuffix(strings.TrimPrefix(part, "\n\n```\n"), "```\n\n")
	if have, want := masked(part), masked(s.text.String()); !found || have != want {
		s.Errorf("docs/cni.md is not what happens: look at it, then go test ./testbed/runtimes -update\ntranscript %s there:\n%s\nhere:\n%s", s.name, have, want)
	}
}

// volatile is what differs from run to run.
var volatile = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{regexp.MustCompile(`netns-[0-9a-f-]{36}`), "netns-X"},
	{regexp.MustCompile(`cnitool-[0-9a-f]{20}`), "cnitool-X"},
	{regexp.MustCompile(`\b[0-9a-f]{12,64}\b`), "ID"},
	{regexp.MustCompile(`after \d+ ms`), "after N ms"},
	{regexp.MustCompile(`"pid":\d+`), `"pid":N`},
	{regexp.MustCompile(` +`), " "}, // columns are as wide as what is in them
}

// masked is the text without that, and with rows of tables in an order that does
// not depend on it.
func masked(text string) string {
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.mask)
	}
	lines := strings.Split(text, "\n")
	row := func(line string) bool { return strings.HasPrefix(line, "cell-1 ") }
	for first := 0; first < len(lines); first++ {
		last := first
		for last < len(lines) && row(lines[last]) {
			last++
		}
		slices.Sort(lines[first:last])
		first = max(first, last)
	}
	return strings.Join(lines, "\n")
}

// TestMasksHideNoMore than what differs from run to run.
func TestMasksHideNoMore(t *testing.T) {
	for text, want := range map[string]string{
		"cell-1  0864a227f892ef7f  cats  2 (0x2)  10.255.1.2":                                 "cell-1 ID cats 2 (0x2) 10.255.1.2",
		"c0864a227f892 of /run/netns/netns-1c1cf5f8-2ec7-ec1b-7cd0-039e8e41df91, after 13 ms": "ID of /run/netns/netns-X, after N ms",
		"cell-1  10\ncell-1  9\nb\na\ncell-1  2\ncell-1  1":                                   "cell-1 10\ncell-1 9\nb\na\ncell-1 1\ncell-1 2",
		"cafe dogs-1 8080 192.0.2.1 tcp/8080":                                                 "cafe dogs-1 8080 192.0.2.1 tcp/8080",
	} {
		if got := masked(text); got != want {
			t.Errorf("%q is masked as %q, expected %q", text, got, want)
		}
	}
}
