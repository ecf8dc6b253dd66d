package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/weft-sdn/weft/testbed"
)

// narrator tells what happens, with times. It stands in for a *testing.T: the
// first failure ends the story.
type narrator struct {
	start    time.Time
	cleanups []func()
	failed   bool
}

// failure is what Fatalf panics with.
type failure string

func (n *narrator) Helper()          {}
func (n *narrator) Name() string     { return "" } // apps are called as the story calls them
func (n *narrator) Failed() bool     { return n.failed }
func (n *narrator) Cleanup(f func()) { n.cleanups = append(n.cleanups, f) }

func (n *narrator) Logf(format string, args ...any) { n.sayf(format, args...) }

func (n *narrator) Errorf(format string, args ...any) {
	n.failed = true
	n.sayf("NOT AS TOLD: "+format, args...)
}

func (n *narrator) Fatalf(format string, args ...any) {
	n.failed = true
	panic(failure(fmt.Sprintf(format, args...)))
}

// play runs the story, cleans up after it and returns its failure, if any.
func (n *narrator) play(story func()) (err error) {
	defer func() {
		for _, f := range slices.Backward(n.cleanups) {
			f()
		}
		if n.failed && err == nil {
			err = fmt.Errorf("not every step was as told")
		}
	}()
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			err = fmt.Errorf("not as told: %s", p)
		default:
			panic(p)
		}
	}()
	story()
	return nil
}

// sayf prints a line with the time since the story began.
func (n *narrator) sayf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Printf("[%5.1f s] %s\n", time.Since(n.start).Seconds(), strings.ReplaceAll(text, "\n", "\n          "))
}

// Write makes the narrator an io.Writer of whole lines, for the bed's progress.
func (n *narrator) Write(line []byte) (int, error) {
	n.sayf("%s", strings.TrimRight(string(line), "\n"))
	return len(line), nil
}

// weft runs the weft command line as a person would, and shows both.
func (n *narrator) weft(bed *testbed.Bed, args ...string) {
	n.sayf("$ weft %s", strings.Join(args, " "))
	if text := strings.TrimRight(n.quietly(bed, args...), "\n"); text != "" {
		n.sayf("%s", text)
	}
}

// quietly runs the weft command line and returns what it printed.
func (n *narrator) quietly(bed *testbed.Bed, args ...string) string {
	cmd := exec.Command(bed.Bin("weft"), args...)
	cmd.Env = append(os.Environ(), bed.Environment()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		n.Fatalf("weft %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
