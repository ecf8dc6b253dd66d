package settings_test

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/settings"
)

var program = settings.Program{Name: "weft-sample", Fresh: func() settings.Configuration { return &sample{Size: 1} }}

// run runs the command line of the program's subcommand config.
func run(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	root := &cobra.Command{Use: program.Name, SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(program.Command())
	var out, errs bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(append([]string{"config"}, args...))
	err = root.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

// TestShow: what counts, from where, without secrets; and what is shown can be
// read again.
func TestShow(t *testing.T) {
	t.Setenv("WEFT_SAMPLE_SIZE", "5")
	file := write(t, "name: x\nlogin:\n  secret: hunter2\nnets: [a, b]\n")
	out, _, err := run(t, "show", "--config", file, "--every", "1h30m", "--on")
	want := `name: x # line 1
login:
  secret: '***' # line 3
  deep:
    dsn: "" # default
size: 5 # environment WEFT_SAMPLE_SIZE
id: 0 # default
on: true # flag --on
every: 1h30m # flag --every
nets: [a, b] # line 4
`
	if err != nil || out != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
	if out, _, err := run(t, "check", "--config", write(t, out)); err != nil || out != "ok\n" {
		t.Errorf("reading it again: %q, %v", out, err)
	}
}

// TestCheck: faults are the error, warnings do not end it.
func TestCheck(t *testing.T) {
	file := write(t, "name: x\nlogin: {secret: hunter2}\n")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	out, warnings, err := run(t, "check", "--config", file)
	if err != nil || out != "ok\n" || !strings.HasPrefix(warnings, "warning: "+file+":2: login.secret") {
		t.Errorf("%q, %q, %v", out, warnings, err)
	}
	out, _, err = run(t, "check", "--config", file, "--size=-1", "--id", "x")
	if err == nil || out != "" || !strings.Contains(err.Error(), "the configuration has 2 faults") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%q, %v", out, err)
	}
}

// TestExample: it can be read when its fields are filled in, and so can each of
// its keys when the marks before them are gone.
func TestExample(t *testing.T) {
	config := sample{Size: 1}
	text := strings.ReplaceAll(settings.Example("weft-sample", config.Keys()), "{{.Name}}", "x")
	if out, _, err := run(t, "check", "--config", write(t, text)); err != nil {
		t.Errorf("%q, %v\n%s", out, err, text)
	}
	all := regexp.MustCompile(`(?m)^( *)#([a-z])`).ReplaceAllString(text, "$1$2")
	out, _, err := run(t, "show", "--config", write(t, all))
	if err != nil || strings.Contains(out, "default") || !strings.Contains(out, "nets: [a, b]") {
		t.Errorf("%v\n%s\nof\n%s", err, out, all)
	}
}

// TestRegenerate replaces one part and keeps all else.
func TestRegenerate(t *testing.T) {
	text := "a\n<!-- generated: x -->\nold\n<!-- end of generated part -->\nb\n<!-- generated: y -->\n<!-- end of generated part -->\n"
	got, err := settings.Regenerate(text, "x", "new\n")
	if want := strings.Replace(text, "old", "new", 1); err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := settings.Regenerate(text, "z", ""); err == nil {
		t.Error("a part that is not there was replaced")
	}
	if got := settings.Markdown((&sample{Size: 7}).Keys()); !strings.Contains(got, "| `size` | whole number | 7 | A size. |  |\n") ||
		!strings.Contains(got, "`login.secret_file` names a file") {
		t.Error(got)
	}
}
