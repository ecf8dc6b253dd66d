package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
)

const fileHelp = `FILE declares one set of policies:

  set: shop                    # the name of the set
  policies:
    - from: web                # app that connects: GUID, or name (weft login --cc)
      to: backend              # app that is connected to
      ports: 8080              # or a range, such as 8080-8090
    - from: backend
      to: acme/prod/postgres   # organization/space/app, where a name is not enough
      protocol: tcp            # or udp; tcp if missing
      ports: 5432
      name: orders             # these describe the policy: they open and close nothing
      description: orders are kept here
      labels: {team: shop, ticket: "4711"}

Sets never overlap: a policy of another set is refused, and one that somebody
made by hand joins the set that declares it.`

// apply is what weft apply and weft diff have in common.
type apply struct {
	*cli
	file    string
	prune   bool
	dryRun  bool
	wait    bool
	timeout time.Duration
}

// newApply returns weft apply.
func newApply(c *cli) *cobra.Command {
	a := &apply{cli: c}
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make the policies of a set those of a file",
		Long: `Add the policies of FILE that are missing and update what describes the others,
all in one transaction: all of it happens, or nothing. Applying the same file
again changes nothing. Policies that the set has but the file has not are left
alone, unless --prune is given.

It prints one line for each change: + added, ~ description updated, - removed.

` + fileHelp,
		Example: `  weft diff -f policies.yaml            # what would change?
  weft apply -f policies.yaml
  weft apply -f policies.yaml --prune --wait
  generate-policies | weft apply -f - --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.wait && a.timeout <= 0 {
				return fmt.Errorf("--timeout %v: must be more than 0, such as 30s", a.timeout)
			}
			_, err := a.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
			return err
		},
	}
	a.register(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&a.dryRun, "dry-run", false, "print what would change, and change nothing")
	flags.BoolVar(&a.wait, "wait", false, "wait until every affected connected cell's switch has it")
	flags.DurationVar(&a.timeout, "timeout", api.DefaultWait, "how long to wait")
	return cmd
}

// errDifferent makes weft diff's exit status 1, and prints nothing.
var errDifferent = errors.New("the set differs from the file")

// diffName is the command whose failures have exit status 2.
const diffName = "diff"

// newDiff returns weft diff.
func newDiff(c *cli) *cobra.Command {
	a := &apply{cli: c, dryRun: true}
	cmd := &cobra.Command{
		Use:   diffName + " -f FILE",
		Short: "Show what weft apply would change",
		Long: `Print what weft apply would change, with the same lines, and change nothing.

The exit status is that of diff(1): 0 if there is no difference, 1 if there is
one, 2 if it could not be found out.

` + fileHelp,
		Example: `  weft diff -f policies.yaml --prune
  weft diff -f policies.yaml > /dev/null || echo "somebody changed it, or it was never applied"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			change, err := a.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
			switch {
			case err != nil:
				return err
			case len(change.Added)+len(change.Updated)+len(change.Removed) > 0:
				return errDifferent
			}
			return nil
		},
	}
	a.register(cmd)
	return cmd
}

func (a *apply) register(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&a.file, "file", "f", "", "file that declares the set; - for standard input")
	cmd.Flags().BoolVar(&a.prune, "prune", false, "remove the policies of the set that the file does not have")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml") // the flag exists
}

func (a *apply) run(ctx context.Context, in io.Reader, out io.Writer) (api.PolicySetChange, error) {
	file, err := readPolicyFile(a.file, in)
	if err != nil {
		return api.PolicySetChange{}, err
	}
	known, err := a.names()
	if err != nil {
		return api.PolicySetChange{}, err
	}
	if err := file.resolve(ctx, known); err != nil {
		return api.PolicySetChange{}, err
	}
	client, err := a.client()
	if err != nil {
		return api.PolicySetChange{}, err
	}
	options := api.SetOptions{Prune: a.prune, DryRun: a.dryRun}
	if a.wait {
		options.Wait = api.Wait{For: api.WaitApplied, Timeout: a.timeout}
	}
	change, err := client.ApplySet(ctx, file.set, api.PolicySet{Policies: file.policies}, options)
	if err != nil {
		return change, file.locate(err)
	}
	if err := a.print(out, change, func() error { return a.say(ctx, out, file.set, change, known) }); err != nil {
		return change, err
	}
	if len(change.Pending) > 0 {
		return change, fmt.Errorf("%w: %s; the policies are stored and reach them when they answer (weft cells)", errPending, strings.Join(change.Pending, ", "))
	}
	return change, nil
}

// resolve replaces names by GUIDs. The error has every name that is wrong, with its line.
func (f *policyFile) resolve(ctx context.Context, known *names) error {
	var apps []string
	for _, p := range f.policies {
		apps = append(apps, p.Source, p.Destination)
	}
	wrong, err := known.resolve(ctx, apps)
	if err != nil {
		return err
	}
	all := faults{file: f.name}
	for i, p := range f.policies {
		for _, end := range []struct{ key, app string }{{"from", p.Source}, {"to", p.Destination}} {
			if err := wrong[end.app]; err != nil {
				all.add(f.lines[i], "%s: %v", end.key, err)
			}
		}
		f.policies[i].Source, f.policies[i].Destination = known.id(p.Source), known.id(p.Destination)
	}
	return all.err()
}

// policyIndex is how the controller names a policy of a request.
var policyIndex = regexp.MustCompile(`policies\[(\d+)\]`)

// locate says where in the file the policy is that the controller's error names.
func (f *policyFile) locate(err error) error {
	match := policyIndex.FindStringSubmatch(err.Error())
	if match == nil {
		return err
	}
	if i, bad := strconv.Atoi(match[1]); bad == nil && i < len(f.lines) {
		return fmt.Errorf("%s:%d: %w", f.name, f.lines[i], err)
	}
	return err
}

// say prints the difference and its size.
func (a *apply) say(ctx context.Context, out io.Writer, set string, change api.PolicySetChange, known *names) error {
	var gone []string
	for _, p := range change.Removed {
		gone = append(gone, p.Source, p.Destination)
	}
	_ = known.learn(ctx, gone) // GUIDs do where names are not to be had
	for _, some := range []struct {
		mark string
		list []api.PolicyRequest
	}{{"+", change.Added}, {"~", change.Updated}, {"-", change.Removed}} {
		for _, p := range some.list {
			if _, err := fmt.Fprintf(out, "%s %s\n", some.mark, policyLine(p, known)); err != nil {
				return err
			}
		}
	}
	was := ""
	if a.dryRun {
		was = " would be"
	}
	line := fmt.Sprintf("set %s:%s %d added, %d updated, %d removed; %d unchanged", safe(set), was, len(change.Added), len(change.Updated), len(change.Removed), change.Unchanged)
	if change.Revision != 0 && !a.dryRun {
		line += fmt.Sprintf(" (revision %d)", change.Revision)
	}
	if a.wait && !a.dryRun && len(change.Pending) == 0 {
		line += "; all affected connected cells have it"
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

// policyLine shows a policy with what describes it.
func policyLine(p api.PolicyRequest, known *names) string {
	line := fmt.Sprintf("%s -> %s %s %s", safe(known.name(p.Source)), safe(known.name(p.Destination)), p.Protocol, p.Ports)
	if p.Name != "" {
		line += " " + safe(p.Name)
	}
	if p.Description != "" {
		line += fmt.Sprintf(" %q", p.Description)
	}
	if len(p.Labels) > 0 {
		line += " " + safe(labelsText(p.Labels))
	}
	return line
}

// labelsText shows labels in the order of their keys.
func labelsText(labels map[string]string) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		list = append(list, key+"="+labels[key])
	}
	return strings.Join(list, ",")
}
