package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/testbed/bench/versus"
)

// benchOVNCommand compares the programs that are beside this binary with OVN.
func benchOVNCommand() *cobra.Command {
	var scenes, report, results string
	c := &cobra.Command{
		Use: "bench-ovn", Args: cobra.NoArgs,
		Short: "compare Weft with OVN at the same scenes; the last line has all figures for programs to read",
		Long: `bench-ovn builds the same clusters in Weft and in OVN, one after the other on this
machine, and measures what a change of a policy costs in each. It takes root, and
Debian's ovn-central and ovn-host. Everything runs in a network namespace of its own
and is removed in the end. Scene XL is measured of Weft in every run; of OVN, which
needs a quarter of an hour for it, if --scene names it.`,
		RunE: inOwnNetwork(func(c *cobra.Command) error {
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this binary: %w", err)
			}
			start := time.Now()
			measured, failed := versus.Run(c.Context(), versus.Options{
				Programs: filepath.Dir(self), Scenes: strings.Fields(strings.ReplaceAll(scenes, ",", " ")), Now: start.UTC().Truncate(time.Second),
				Say: func(format string, args ...any) {
					fmt.Fprintf(c.ErrOrStderr(), "[%5.1f s] %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
				},
			})
			all := measured
			if results != "" { // of scenes before one that failed, too
				if all, err = versus.Keep(results, measured); err != nil {
					return errors.Join(failed, err)
				}
			}
			if failed != nil {
				return failed
			}
			if report != "" {
				if err := versus.WriteReport(report, all); err != nil {
					return err
				}
			}
			fmt.Printf("\n%sfigures: %s\n", versus.Tables(measured), versus.Line(measured))
			return nil
		}),
	}
	c.Flags().StringVar(&scenes, "scene", "S M L", "scenes to compare, of S, M, L and XL")
	c.Flags().StringVar(&report, "report", "", "write tables and charts to the generated part of this file, such as docs/performance.md, and beside it")
	c.Flags().StringVar(&results, "json", "", "keep the results in this file, beside those of scenes that it has and this run does not measure")
	return c
}

// insideNetwork is the environment variable of the process that has a network
// of its own.
const insideNetwork = "WEFT_BENCH_INSIDE"

// inOwnNetwork makes a command that runs once more as a process in a network
// namespace of its own, with nothing but loopback.
func inOwnNetwork(inside func(*cobra.Command) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error {
		if os.Getenv(insideNetwork) == "" {
			return againInOwnNetwork(c.Context())
		}
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err != nil {
			return fmt.Errorf("loopback of the own network: %w", err)
		}
		return inside(c)
	}
}

// againInOwnNetwork passes a request to end on, so that what runs inside cleans
// up.
func againInOwnNetwork(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideNetwork+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return fmt.Errorf("bench-ovn: %w", err) // it has said why
	case err != nil:
		return fmt.Errorf("a network namespace of its own (are you root?): %w", err)
	}
	return nil
}
