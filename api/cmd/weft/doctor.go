package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
)

// agentSocket is where weft-agent listens unless its file says otherwise.
const agentSocket = "/run/weft/agent.sock"

// errUnwell says that a finding is an error. It has been shown: the exit status
// alone is left.
var errUnwell = errors.New("the cell's host is not well")

// agentError is that of a cell's agent, not of the controller.
type agentError struct {
	error
	socket string
}

// Unwrap returns what went wrong.
func (e *agentError) Unwrap() error { return e.error }

// nextStep says what a person can do about it.
func (e *agentError) nextStep() string {
	switch {
	case errors.Is(e, fs.ErrPermission):
		return "The agent's socket is for root only: sudo weft doctor."
	case errors.Is(e, api.ErrNotFound):
		return "This weft-agent is of an older release, which cannot look at its host."
	case errors.Is(e, api.ErrUnavailable):
		return "Is weft-agent running on this cell? systemctl status weft-agent. Set --socket PATH if its file says another socket than " + e.socket + "."
	}
	return ""
}

// newDoctor returns weft doctor.
func newDoctor(c *cli) *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find what of this cell's host makes the overlay fail",
		Long: `Ask the agent of the cell that this runs on what of the host will make the
overlay fail, and what to do about it: MTUs, network cards that break VXLAN,
settings of the kernel, other firewalls, and who else has the tunnel's UDP port.
Nothing is changed. What is fine is listed, too.

A warning is about what works now, or for most; an error about traffic that
fails. The agent looks by itself as well, at its start and from time to time: its
log and weft-agent status have the findings that are not ok.

No controller is asked. The agent's socket is for root only. Exit status: 0 if
there is no error, 1 if there is one or if the agent does not answer.`,
		Example: `  cell# weft doctor
  cell# weft doctor -o json | jq -r '.findings[] | select(.level != "ok") | .remedy'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checkup, err := api.NewCellClient(socket).Checkup(cmd.Context())
			if err != nil {
				return &agentError{err, socket}
			}
			out := cmd.OutOrStdout()
			if err := c.print(out, checkup, func() error { return printCheckup(out, checkup) }); err != nil {
				return err
			}
			if checkup.Worst() == api.LevelError {
				return errUnwell
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&socket, "socket", agentSocket, "the agent's socket (key socket of its file)")
	return cmd
}

// printCheckup writes a table, with each remedy below its finding.
func printCheckup(out io.Writer, checkup api.Checkup) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "CHECK\tLEVEL\tFINDING")
	for _, f := range checkup.Findings {
		fmt.Fprintln(w, strings.Join([]string{safe(f.Check), safe(string(f.Level)), safe(f.Text)}, "\t"))
		if f.Remedy != "" {
			fmt.Fprintln(w, "\t\t-> "+safe(f.Remedy))
		}
	}
	return w.Flush()
}
