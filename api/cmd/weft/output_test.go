package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestTerminalIsSafe: names come from whoever may write policies, so none may
// move the cursor, add a row or hide.
func TestTerminalIsSafe(t *testing.T) {
	for name, shown := range map[string]string{
		"cats": "cats", "": "-", "größe": "größe", "two words": "two words",
		"a\x1b[2Jb": `"a\x1b[2Jb"`, "a\nb": `"a\nb"`, "a\tb": `"a\tb"`, "\xff": `"\xff"`, "\u202ecod": `"\u202ecod"`,
	} {
		var out bytes.Buffer
		if err := printTable(&out, []string{"A", "B"}, [][]string{{name, "x"}}); err != nil {
			t.Fatal(err)
		}
		row := strings.Split(out.String(), "\n")[1]
		if got := strings.TrimRight(strings.TrimSuffix(row, "x"), " "); got != shown {
			t.Errorf("%q is shown as %s, want %s", name, got, shown)
		}
	}
}
