package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/cellagent"
)

// statusTimeout bounds waiting for an agent that is busy with the switch.
const statusTimeout = 25 * time.Second

func statusCommand() *cobra.Command {
	socket, output := cellagent.DefaultConfig().Socket, "table"
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the agent on this cell is doing, and whether the switch is in step",
		Long: `status asks the running agent on its unix socket. The agent dumps the bridge's
flows and compares them with what the controller wants, so "in step" is a fact
of this moment; what it says of the host is of its last look (weft doctor looks
anew). The exit status is 0 when the agent answered.`,
		Example: `  weft-agent status
  weft-agent status -o json | jq '.faults, .missing, .foreign'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return fmt.Errorf("--output %q: must be table or json", output)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), statusTimeout)
			defer cancel()
			status, err := cellagent.FetchStatus(ctx, socket)
			if err != nil {
				return err
			}
			if output == "json" {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(status)
			}
			return printStatus(cmd.OutOrStdout(), status)
		},
	}
	cmd.Flags().StringVar(&socket, "socket", socket, "the agent's socket (key socket of its file)")
	cmd.Flags().StringVarP(&output, "output", "o", output, "table or json")
	return cmd
}

var (
	link = map[bool]string{true: "connected", false: "NOT CONNECTED"}
	step = map[bool]string{true: "in step", false: "NOT IN STEP"}
)

// printStatus writes a status for people.
func printStatus(w io.Writer, s cellagent.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(key, format string, args ...any) { fmt.Fprintf(t, key+"\t"+format+"\n", args...) }
	row("cell", "%s, up %v", s.Cell, time.Since(s.Started).Round(time.Second))
	row("controller", "%s: %s%s", s.Controller, link[s.Connected], because(s.Away))
	row("bridge", "%s (%s): %s", s.Bridge, s.Datapath, link[s.Switch])
	row("lease", "%s, container MTU %s", leaseLine(s), mtuLine(s.MTU))
	if s.Refuses != "" {
		row("containers", "NONE ARE TAKEN: %s", s.Refuses)
	}
	row("revision", "%d wanted, %d applied", s.Revision, s.Applied)
	row("flows", "%s", flowsLine(s))
	row("host", "%s", hostLine(s.Host))
	row("since start", "%d flow mods in %d bundles%s, %d comparisons, %d drifted, %d switch connections",
		s.Counters.FlowMods, s.Counters.Bundles, slowLine(s.Counters.OfctlBundles), s.Counters.Reconciles, s.Counters.Drift, s.Counters.SwitchConnections)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range s.Faults {
		fmt.Fprintf(w, "\nFAULT %s, for %v: %s\n", f.What, time.Since(f.Since).Round(time.Second), f.Text)
	}
	for _, f := range s.Findings {
		fmt.Fprintf(w, "\nHOST %s, %s: %s\n  %s\n", f.Check, f.Level, f.Text, f.Remedy)
	}
	listFlows(w, "missing", s.Missing)
	listFlows(w, "foreign", s.Foreign)
	if len(s.Endpoints) == 0 {
		return nil
	}
	fmt.Fprintln(t, "\nCONTAINER\tAPP\tIP\tPORT\tOFPORT\tSTATE")
	for _, e := range s.Endpoints {
		state := "waiting"
		switch {
		case e.Error != "":
			state = "failed: " + e.Error
		case e.Ready:
			state = "ready"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", e.Container, e.App, e.IP, e.Port, e.OFPort, state)
	}
	return t.Flush()
}

// because adds a reason, if there is one.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// leaseLine is the cell's subnet, as far as it still is.
func leaseLine(s cellagent.Status) string {
	if s.Subnet != "" && s.Denied != "" {
		return s.Subnet + " (NOT GIVEN ANY MORE)"
	}
	return cmp.Or(s.Subnet, "none")
}

func mtuLine(bytes int) string {
	if bytes == 0 {
		return "not known"
	}
	return fmt.Sprint(bytes)
}

func flowsLine(s cellagent.Status) string {
	if !s.Switch {
		return fmt.Sprintf("%d wanted, installed is not known", s.Want)
	}
	return fmt.Sprintf("%d wanted, %d installed: %s", s.Want, s.Have, step[s.InStep])
}

// slowLine says that bundles took the slow way, if any did.
func slowLine(bundles uint64) string {
	if bundles == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d by ovs-ofctl)", bundles)
}

// hostLine is the host's side in a line: what matters, and what was counted.
func hostLine(h cellagent.HostStatus) string {
	if !h.On {
		return "OFF: " + h.Reason
	}
	line := fmt.Sprintf("%s, %d ports mapped, %d repairs", step[h.InStep], h.Mappings, h.Repairs)
	if h.LastRepair != nil {
		line += fmt.Sprintf(", the last %v ago", time.Since(*h.LastRepair).Round(time.Second))
	}
	for _, counter := range slices.Sorted(maps.Keys(h.Counters)) {
		if n := h.Counters[counter]; n > 0 {
			line += fmt.Sprintf("; %s %d", counter, n)
		}
	}
	return line
}

func listFlows(w io.Writer, title string, flows []string) {
	for _, f := range flows {
		fmt.Fprintf(w, "%s: %s\n", title, f)
	}
}
