// Command weft-testbed runs Weft on real cells: a narrated demonstration, a
// sandbox with a shell, and the tests. It boots an emulated kernel where the
// machine's own has no openvswitch (see package lab).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/buildinfo"
	"github.com/weft-sdn/weft/testbed/lab"
)

func main() {
	lab.BecomeInit()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	err := command().ExecuteContext(ctx)
	var exit *lab.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.Code) // it has said what is wrong
	case err != nil:
		fmt.Fprintln(os.Stderr, "weft-testbed:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "weft-testbed",
		Short:         "Weft on real cells: demonstration, sandbox, tests",
		Version:       buildinfo.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		&cobra.Command{
			Use: "demo", Args: cobra.NoArgs,
			Short: "show, narrated, how one policy lets one app reach another and how its removal cuts it off",
			RunE:  inLab(lab.Job{Limit: 6 * time.Minute}, demo),
		},
		&cobra.Command{
			Use: "sandbox", Args: cobra.NoArgs,
			Short: "three cells and a shell; a script on standard input is run instead of the shell",
			Long:  "sandbox starts three cells and a shell, or runs a script from standard input.\n" + sandboxHelp[:len(sandboxHelp)-1],
			RunE:  runSandbox,
		},
		&cobra.Command{
			Use: "fetch", Args: cobra.NoArgs,
			Short: "download the lab kernel, unless this machine does not need it",
			RunE: func(c *cobra.Command, _ []string) error {
				if lab.KernelHasOpenvswitch() {
					return nil
				}
				return lab.Fetch(c.Context())
			},
		},
		benchCommand(),
		benchDatapathCommand(),
		benchAPICommand(), benchCNICommand(), benchCNILabCommand(), benchOVNCommand(),
		benchScaleCommand(), fleetCommand(),
		&cobra.Command{
			Use: "exec PROGRAM [ARGUMENT...]", Args: cobra.MinimumNArgs(1), DisableFlagParsing: true,
			Short: "run any program of this machine on the lab's kernel",
			RunE:  execInLab,
		},
		testCommand("test", "run all tests and count them", unit, runtimes, endToEnd),
		testCommand("unit", "run the tests that need no lab", unit),
		testCommand("runtimes", "run the tests of real container runtimes", runtimes),
		testCommand("e2e", "run the end-to-end tests on three cells", endToEnd),
	)
	return root
}

// inLab makes a command that runs inside: outside it boots the lab, with this
// same command as the payload.
func inLab(job lab.Job, inside func() error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error {
		if lab.Inside() {
			return inside()
		}
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this binary: %w", err)
		}
		if job.Dir, err = os.Getwd(); err != nil {
			return fmt.Errorf("find the working directory: %w", err)
		}
		job.Args = append([]string{self}, os.Args[1:]...)
		return lab.Run(c.Context(), job)
	}
}

func execInLab(c *cobra.Command, args []string) error {
	program, err := exec.LookPath(args[0])
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	if program, err = filepath.Abs(program); err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	return lab.Run(c.Context(), lab.Job{Args: append([]string{program}, args[1:]...), Dir: dir})
}
