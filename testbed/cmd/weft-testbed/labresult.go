package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// labResult introduces the line by which a run in the lab hands its result out:
// the console is all that leaves the lab.
const labResult = "json: "

// printResult is what the run in the lab does.
func printResult(r any) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fmt.Printf("%s%s\n", labResult, data)
	return nil
}

// readResult starts a run in the lab as a process of its own, passes on what that
// prints, and keeps its result.
func readResult(c *cobra.Command, r any, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this binary: %w", err)
	}
	cmd := exec.CommandContext(c.Context(), self, args...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	found := false
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Println(lines.Text())
		if text, ok := strings.CutPrefix(lines.Text(), labResult); ok {
			found = true
			if err := json.Unmarshal([]byte(text), r); err != nil {
				return fmt.Errorf("read the result: %w", err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("the run in the lab: %w", err)
	}
	if !found {
		return fmt.Errorf("the run in the lab printed no result")
	}
	return nil
}
