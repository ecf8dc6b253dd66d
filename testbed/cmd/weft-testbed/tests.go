package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// A suite is a set of packages whose tests run together.
type suite struct {
	include string   // package pattern
	exclude []string // suffixes of packages
}

var (
	unit     = suite{include: "./...", exclude: []string{"/testbed/e2e", "/testbed/runtimes"}}
	runtimes = suite{include: "./testbed/runtimes"}
	endToEnd = suite{include: "./testbed/e2e"}
)

// testCommand makes a command that runs suites one after the other, since the
// lab needs both CPUs for itself, and ends with one line of counts.
func testCommand(name, short string, suites ...suite) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		t := tally{out: os.Stdout, output: map[string][]string{}, failures: map[string]int{}, seen: map[string]bool{}}
		start := time.Now()
		for _, s := range suites {
			if err := s.run(c.Context(), &t); err != nil {
				return err
			}
		}
		fmt.Printf("took %.0f s\n%d passed, %d failed, %d skipped\n", time.Since(start).Seconds(), t.passed, t.failed, t.skipped)
		if t.failed > 0 || t.skipped > 0 {
			return fmt.Errorf("%d tests failed and %d were skipped; none may be", t.failed, t.skipped)
		}
		return nil
	}}
}

// run runs the suite's tests and counts them. A package that cannot be built
// or dies counts as a failure.
func (s suite) run(ctx context.Context, t *tally) error {
	packages, err := s.packages(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-count=1", "-timeout=25m"}, packages...)...)
	cmd.Stderr = os.Stderr
	// A group of its own, so that one signal reaches go test and the tests, which
	// end the lab. The parent-death signal belongs to this thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	failed := t.failed
	if err := t.read(out); err != nil {
		return fmt.Errorf("read go test: %w", err)
	}
	if err := cmd.Wait(); err != nil && t.failed == failed {
		return fmt.Errorf("go test: %w", err)
	}
	return nil
}

func (s suite) packages(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", s.include)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	var packages []string
	for _, p := range strings.Fields(string(out)) {
		if !slices.ContainsFunc(s.exclude, func(suffix string) bool { return strings.HasSuffix(p, suffix) }) {
			packages = append(packages, p)
		}
	}
	return packages, nil
}

// tally counts tests, subtests included, and tells what a person wants to see:
// packages, slow tests, and everything about failures.
type tally struct {
	passed, failed, skipped int
	out                     io.Writer
	output                  map[string][]string // of tests and packages that have not ended
	failures                map[string]int      // by package
	seen                    map[string]bool     // tests that have passed: the lab may have to begin anew
}

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64 // seconds
}

// slow is from when on a single test is mentioned, in seconds.
const slow = 2.0

func (t *tally) read(from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(t.out, lines.Text()) // not an event: go's own complaint
			continue
		}
		t.add(e)
	}
	return lines.Err()
}

func (t *tally) add(e event) {
	key := e.Package + "\x00" + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.out, e.Output)
	case "output":
		t.output[key] = append(t.output[key], e.Output)
	case "pass", "fail", "skip":
		t.end(e, strings.Join(t.output[key], ""))
		delete(t.output, key)
	}
}

func (t *tally) end(e event, output string) {
	if e.Test == "" {
		t.endPackage(e, output)
		return
	}
	switch e.Action {
	case "pass":
		if key := e.Package + "\x00" + e.Test; !t.seen[key] {
			t.seen[key] = true
			t.passed++
		}
		if e.Elapsed >= slow && !strings.Contains(e.Test, "/") {
			fmt.Fprintf(t.out, "     %-40s %6.1f s\n", e.Test, e.Elapsed)
		}
		return
	case "skip":
		t.skipped++
	default:
		t.failed++
		t.failures[e.Package]++
	}
	fmt.Fprint(t.out, output)
}

// endPackage reports a package. One that fails although none of its tests did
// could not be built, or died.
func (t *tally) endPackage(e event, output string) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(t.out, "ok   %-60s %6.1f s\n", e.Package, e.Elapsed)
	case "fail":
		fmt.Fprintf(t.out, "FAIL %-60s %6.1f s\n%s", e.Package, e.Elapsed, output)
		if t.failures[e.Package] == 0 {
			t.failed++
		}
	}
}
