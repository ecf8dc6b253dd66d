package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
)

// policies is what the flags of weft policies say.
type policies struct {
	*cli
	source, destination []string
	labels              []string
	set                 string
	wide                bool
}

// newPolicies returns weft policies.
func newPolicies(c *cli) *cobra.Command {
	p := &policies{cli: c}
	cmd := &cobra.Command{
		Use:     "policies",
		Aliases: []string{"list-access"},
		Short:   "Show the policies",
		Long: `Show the policies. list-access is another name of this command. COOKIE is what
ovs-ofctl dump-flows shows of a policy's flows; there are several where policies
of the same two apps have ports in common, whose flows they share.

SET, NAME and LABELS are what weft apply declared. --wide shows who added each
policy, when, and what it is for.`,
		Example: `  weft policies
  weft policies --source cats --wide
  weft policies --set shop --label team=shop
  weft policies -o json | jq -r '.policies[] | [.source, .destination] | @tsv'`,
		Args: cobra.NoArgs,
		RunE: p.run,
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&p.source, "source", nil, "only policies from these apps")
	flags.StringSliceVar(&p.destination, "destination", nil, "only policies to these apps")
	flags.StringVar(&p.set, "set", "", "only policies of this set")
	flags.StringArrayVar(&p.labels, "label", nil, "only policies with this label, KEY=VALUE; several must all be there")
	flags.BoolVar(&p.wide, "wide", false, "show creator, time and description, too")
	return cmd
}

func (p *policies) run(cmd *cobra.Command, _ []string) error {
	ctx := cmd.Context()
	filter := api.DetailFilter{Set: p.set, Labels: map[string]string{}}
	for _, label := range p.labels {
		key, value, hasValue := strings.Cut(label, "=")
		if !hasValue || key == "" {
			return fmt.Errorf("--label %q: must be KEY=VALUE, such as team=shop", label)
		}
		filter.Labels[key] = value
	}
	known, err := p.names()
	if err != nil {
		return err
	}
	if err := known.mustResolve(ctx, slices.Concat(p.source, p.destination)...); err != nil {
		return err
	}
	filter.Source, filter.Dest = known.ids(p.source), known.ids(p.destination)
	client, err := p.client()
	if err != nil {
		return err
	}
	list, revision, err := client.PolicyDetails(ctx, filter)
	if err != nil {
		return err
	}
	if list == nil {
		list = []api.PolicyDetail{}
	}
	out := cmd.OutOrStdout()
	return p.print(out, api.PolicyDetailsList{Policies: list, Revision: uint64(revision)}, func() error {
		if len(list) == 0 {
			_, err := fmt.Fprintln(out, "No policies. weft allow-access SOURCE DESTINATION --port PORT adds one.")
			return err
		}
		var apps []string
		for _, x := range list {
			apps = append(apps, x.Source, x.Destination)
		}
		_ = known.learn(ctx, apps) // GUIDs do where names are not to be had
		headers := []string{"ID", "SOURCE", "DESTINATION", "PROTOCOL", "PORTS", "COOKIE", "SET", "NAME", "LABELS"}
		if p.wide {
			headers = append(headers, "CREATOR", "CREATED", "DESCRIPTION")
		}
		var rows [][]string
		for _, x := range list {
			rows = append(rows, p.row(x, known))
		}
		return printTable(out, headers, rows)
	})
}

func (p *policies) row(x api.PolicyDetail, known *names) []string {
	row := []string{
		strconv.FormatUint(x.ID, 10), known.name(x.Source), known.name(x.Destination), x.Protocol, x.Ports.String(),
		cookiesText(x), x.Set, x.Name, labelsText(x.Labels),
	}
	if p.wide {
		created := ""
		if x.Created != nil {
			created = x.Created.UTC().Format(time.RFC3339)
		}
		row = append(row, x.Creator, created, x.Description)
	}
	return row
}

func cookiesText(p api.PolicyDetail) string {
	if len(p.Cookies) == 0 {
		return p.Cookie
	}
	return strings.Join(p.Cookies, ",")
}
