package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
)

// access is what allow-access and remove-access have in common.
type access struct {
	*cli
	protocol string
	port     string
	wait     bool
	waitAll  bool
	timeout  time.Duration
}

// newAllow returns weft allow-access.
func newAllow(c *cli) *cobra.Command {
	a := &access{cli: c}
	cmd := &cobra.Command{
		Use:   "allow-access SOURCE DESTINATION",
		Short: "Let one app connect to another",
		Long: `Let the app SOURCE open connections to the app DESTINATION.

The command returns when the policy is stored for good. With --wait it returns
when the switch of every affected cell that is connected has it; with
--wait-all, also of those that are not. Allowing twice changes nothing.

A policy may come before the containers. An app that has none is noted on
standard error, in case its name is misspelt.`,
		Example: `  weft allow-access cats dogs --port 8080
  weft allow-access cats dogs --protocol udp --port 7000-7010 --wait

  # let the instances of one app talk to each other
  weft allow-access cats cats --port 4369`,
		Args: twoApps,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.run(cmd, args, allowVerb)
		},
	}
	a.register(cmd)
	return cmd
}

// newRemove returns weft remove-access.
func newRemove(c *cli) *cobra.Command {
	a := &access{cli: c}
	cmd := &cobra.Command{
		Use:   "remove-access SOURCE DESTINATION",
		Short: "Take back what allow-access gave",
		Long: `Remove the policy that lets the app SOURCE connect to the app DESTINATION.
Protocol and ports must be those of the policy, as weft policies shows them.

Established connections stop, too. Removing what is not there changes nothing,
is told, and ends with 0.`,
		Example: `  weft remove-access cats dogs --port 8080 --wait`,
		Args:    twoApps,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.run(cmd, args, removeVerb)
		},
	}
	a.register(cmd)
	return cmd
}

func (a *access) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&a.protocol, "protocol", "tcp", "tcp or udp")
	flags.StringVar(&a.port, "port", "", "port or range of ports, such as 8080 or 8080-8090")
	flags.BoolVar(&a.wait, "wait", false, "wait until every affected connected cell's switch has it")
	flags.BoolVar(&a.waitAll, "wait-all", false, "wait for affected cells that are not connected, too")
	flags.DurationVar(&a.timeout, "timeout", api.DefaultWait, "how long to wait")
	cmd.MarkFlagsMutuallyExclusive("wait", "wait-all")
	_ = cmd.RegisterFlagCompletionFunc("protocol", cobra.FixedCompletions([]string{"tcp", "udp"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	_ = cmd.RegisterFlagCompletionFunc("port", cobra.NoFileCompletions)
	cmd.ValidArgsFunction = a.completeApps
}

func twoApps(cmd *cobra.Command, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("%s takes two apps, SOURCE and DESTINATION, but got %d: try weft %s cats dogs --port 8080", cmd.Name(), len(args), cmd.Name())
	}
	return nil
}

// verb is what to do with a policy, and how to say that it is done.
type verb struct {
	past  string // what was done, before the policy
	where string // what the switches now do
	write func(c *api.Client) func(context.Context, []api.PolicyBody, api.Wait) (api.Change, error)
}

var (
	allowVerb = verb{
		past: "allowed", where: "have it",
		write: func(c *api.Client) func(context.Context, []api.PolicyBody, api.Wait) (api.Change, error) {
			return c.AddPolicies
		},
	}
	removeVerb = verb{
		past: "removed", where: "have dropped it",
		write: func(c *api.Client) func(context.Context, []api.PolicyBody, api.Wait) (api.Change, error) {
			return c.RemovePolicies
		},
	}
)

// absent is the result of removing what is not there. Who gave a wrong port
// must not believe that nothing is allowed any more.
const absent = "absent"

// result is what allow-access and remove-access print as JSON.
type result struct {
	Result   string         `json:"result"` // "allowed", "removed" or "absent"
	Policy   api.PolicyBody `json:"policy"`
	Revision uint64         `json:"revision"`
	Applied  bool           `json:"applied"`           // every cell that was waited for confirmed; false if not asked to wait
	WaitedMS *float64       `json:"waited_ms"`         // null if not asked to wait
	Pending  []string       `json:"pending,omitempty"` // cells that had not confirmed at the timeout

	waitedFor string // "connected cells", or "cells" if others were waited for too
}

// errPending makes the exit status tell that not every cell confirmed in time.
var errPending = errors.New("not every cell confirmed in time")

func (a *access) run(cmd *cobra.Command, args []string, v verb) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	policy, err := a.policy(args[0], args[1])
	if err != nil {
		return err
	}
	wait, err := a.waiting()
	if err != nil {
		return err
	}
	known, err := a.names()
	if err != nil {
		return err
	}
	if err := known.mustResolve(ctx, args...); err != nil {
		return err
	}
	policy.Source.ID, policy.Destination.ID = known.id(args[0]), known.id(args[1])
	client, err := a.client()
	if err != nil {
		return err
	}
	r := result{Result: v.past, Policy: policy}
	if v.past == removeVerb.past {
		if there, err := client.HasPolicy(ctx, policy); err != nil {
			return err
		} else if !there {
			r.Result = absent
		}
	}
	begin := time.Now()
	change, err := v.write(client)(ctx, []api.PolicyBody{policy}, wait)
	if err != nil {
		return err
	}
	r.Revision, r.Pending = uint64(change.Revision), change.Pending
	if wait.For != api.WaitNone {
		ms := float64(time.Since(begin).Microseconds()) / 1000
		r.WaitedMS, r.Applied, r.waitedFor = &ms, len(change.Pending) == 0, "connected cells"
		if wait.For == api.WaitAppliedAll {
			r.waitedFor = "cells"
		}
	}
	if err := a.print(out, r, func() error { return r.say(out, v, known) }); err != nil {
		return err
	}
	if v.past == allowVerb.past {
		noteNobodies(ctx, cmd.ErrOrStderr(), client, map[string]string{args[0]: policy.Source.ID, args[1]: policy.Destination.ID})
	}
	if len(r.Pending) > 0 {
		return fmt.Errorf("%w: %s; the policy is stored and reaches them when they answer (weft cells)", errPending, strings.Join(r.Pending, ", "))
	}
	return nil
}

// say prints the result as a sentence.
func (r result) say(out io.Writer, v verb, known *names) error {
	source, d := safe(known.name(r.Policy.Source.ID)), r.Policy.Destination
	if r.Result == absent {
		_, err := fmt.Fprintf(out, "nothing to remove: there is no policy %s -> %s %s %s (revision %d); weft policies shows those that there are\n",
			source, safe(known.name(d.ID)), d.Protocol, d.Ports, r.Revision)
		return err
	}
	line := fmt.Sprintf("%s %s -> %s %s %s (revision %d)", r.Result, source, safe(known.name(d.ID)), d.Protocol, d.Ports, r.Revision)
	if r.Applied {
		line += fmt.Sprintf("; all affected %s %s after %.0f ms", r.waitedFor, v.where, *r.WaitedMS)
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

// policy checks the arguments here, too, so that the messages can name the flags.
func (a *access) policy(source, destination string) (api.PolicyBody, error) {
	switch {
	case source == "":
		return api.PolicyBody{}, errors.New("SOURCE is empty: give the app that connects")
	case destination == "":
		return api.PolicyBody{}, errors.New("DESTINATION is empty: give the app that is connected to")
	case a.protocol != "tcp" && a.protocol != "udp":
		return api.PolicyBody{}, fmt.Errorf("--protocol %q: must be tcp or udp", a.protocol)
	}
	if a.port == "" {
		return api.PolicyBody{}, errors.New("--port is missing: give a port or a range, such as 8080 or 8080-8090")
	}
	ports, err := api.ParsePorts(a.port)
	if err != nil {
		return api.PolicyBody{}, fmt.Errorf("--port %w", err)
	}
	return api.PolicyBody{
		Source:      api.Source{ID: source},
		Destination: api.Destination{ID: destination, Protocol: a.protocol, Ports: ports},
	}, nil
}

// waiting turns the flags into what the client asks for.
func (a *access) waiting() (api.Wait, error) {
	if a.timeout <= 0 {
		return api.Wait{}, fmt.Errorf("--timeout %v: must be more than 0, such as 30s", a.timeout)
	}
	switch {
	case a.waitAll:
		return api.Wait{For: api.WaitAppliedAll, Timeout: a.timeout}, nil
	case a.wait:
		return api.Wait{For: api.WaitApplied, Timeout: a.timeout}, nil
	}
	return api.Wait{}, nil
}

// completeApps offers the names of the apps that have a group id.
func (a *access) completeApps(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	client, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
	defer cancel()
	groups, err := client.Groups(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var apps []string
	for _, g := range groups {
		apps = append(apps, g.App)
	}
	return apps, cobra.ShellCompDirectiveNoFileComp
}
