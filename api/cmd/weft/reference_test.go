package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const referenceIntro = `# The weft command

This file is made from the command's own help: ` + "`make golden`" + ` writes it, and a test
fails when it is stale. ` + "`weft COMMAND --help`" + ` says the same.

`

// reference is the help of all commands as Markdown.
func reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(referenceIntro)
	describe(&b, root)
	b.WriteString("\nFlags of every command:\n\n```\n" + flagText(root.PersistentFlags()) + "```\n")
	var walk func(*cobra.Command)
	walk = func(parent *cobra.Command) {
		for _, cmd := range parent.Commands() {
			if !cmd.IsAvailableCommand() || cmd.Name() == "completion" {
				continue
			}
			fmt.Fprintf(&b, "\n## %s\n\n", cmd.CommandPath())
			describe(&b, cmd)
			walk(cmd)
		}
	}
	walk(root)
	return b.String()
}

// describe writes one command.
func describe(b *strings.Builder, cmd *cobra.Command) {
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	b.WriteString("```\n" + cmd.UseLine() + "\n```\n\n" + markdown(text) + "\n")
	if flags := flagText(cmd.NonInheritedFlags()); flags != "" && cmd.HasParent() {
		b.WriteString("\n```\n" + flags + "```\n")
	}
	if cmd.Example != "" {
		b.WriteString("\nExamples:\n\n```\n" + unindent(cmd.Example) + "\n```\n")
	}
}

// flagText is the table of flags without cobra's own.
func flagText(flags *pflag.FlagSet) string {
	some := pflag.NewFlagSet("", pflag.ContinueOnError)
	some.SortFlags = false
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" {
			some.AddFlag(f)
		}
	})
	return unindent(some.FlagUsages())
}

// markdown makes code blocks of the indented lines of a text.
func markdown(text string) string {
	var out []string
	code := false
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		switch indented := strings.HasPrefix(line, "  "); {
		case indented && !code:
			out, code = append(out, "```"), true
		case !indented && line != "" && code: // the blank line before belongs behind the block
			out[len(out)-1], code = "```", false
			out = append(out, "")
		}
		out = append(out, strings.TrimPrefix(line, "  "))
	}
	if code {
		out = append(out, "```")
	}
	return strings.Join(out, "\n")
}

func unindent(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n  ", "\n"), "  ")
}

// TestReference: docs/cli.md is what the commands say of themselves. Run with
// WEFT_GOLDEN=1 to write it anew.
func TestReference(t *testing.T) {
	const file = "../../../docs/cli.md"
	for _, name := range []string{"WEFT_API", "WEFT_CONTEXT"} { // they are defaults of flags
		t.Setenv(name, "")
	}
	want := reference(newRoot(&cli{}))
	if os.Getenv("WEFT_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%s is stale: make golden", file)
	}
}
