package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
)

// newRoot returns the commands.
func newRoot(p *platform) *cobra.Command {
	root := &cobra.Command{Use: "cf", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(
		newWrite(p, allowUsage, allow),
		newWrite(p, denyUsage, deny),
		newList(p),
	)
	return root
}

// write adds or removes a policy, and says what it has done.
type write func(context.Context, *api.Client, api.PolicyBody, api.Wait) (string, api.Change, error)

func allow(ctx context.Context, client *api.Client, policy api.PolicyBody, wait api.Wait) (string, api.Change, error) {
	change, err := client.AddPolicies(ctx, []api.PolicyBody{policy}, wait)
	return "allowed", change, err
}

// deny looks first: who gave a wrong port must not believe that nothing is
// allowed any more.
func deny(ctx context.Context, client *api.Client, policy api.PolicyBody, wait api.Wait) (string, api.Change, error) {
	there, err := client.HasPolicy(ctx, policy)
	if err != nil {
		return "", api.Change{}, err
	}
	said := "denied"
	if !there {
		said = "nothing to deny (cf list-access shows what is allowed): there is no"
	}
	change, err := client.RemovePolicies(ctx, []api.PolicyBody{policy}, wait)
	return said, change, err
}

// newWrite returns allow-access or deny-access.
func newWrite(p *platform, usage string, do write) *cobra.Command {
	var protocol, port string
	var wait bool
	cmd := &cobra.Command{
		Use: strings.TrimPrefix(usage, "cf "),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("two apps are needed, but %d given: %s", len(args), usage)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			policy, err := p.policy(args, protocol, port)
			if err != nil {
				return err
			}
			client, err := p.client()
			if err != nil {
				return err
			}
			patience := api.Wait{}
			if wait {
				patience.For = api.WaitApplied
			}
			said, change, err := do(cmd.Context(), client, policy, patience)
			if err != nil {
				return err
			}
			if len(change.Pending) > 0 {
				return fmt.Errorf("stored, but these cells have not confirmed in time: %s", strings.Join(change.Pending, ", "))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s -> %s %s %s\nOK\n", said, strconv.Quote(args[0]), strconv.Quote(args[1]), protocol, policy.Destination.Ports)
			return err
		},
	}
	cmd.Flags().StringVar(&protocol, "protocol", "tcp", "")
	cmd.Flags().StringVar(&port, "port", "", "")
	cmd.Flags().BoolVar(&wait, "wait", false, "")
	return cmd
}

// policy checks the command line and asks cf for the apps.
func (p *platform) policy(apps []string, protocol, port string) (api.PolicyBody, error) {
	if protocol != "tcp" && protocol != "udp" {
		return api.PolicyBody{}, fmt.Errorf("--protocol %q: must be tcp or udp", protocol)
	}
	if port == "" {
		return api.PolicyBody{}, errors.New("--port is missing: give a port or a range, such as 8080 or 8080-8090")
	}
	ports, err := api.ParsePorts(port)
	if err != nil {
		return api.PolicyBody{}, fmt.Errorf("--port %w", err)
	}
	source, err := p.app(apps[0])
	if err != nil {
		return api.PolicyBody{}, err
	}
	destination, err := p.app(apps[1])
	if err != nil {
		return api.PolicyBody{}, err
	}
	return api.PolicyBody{
		Source:      api.Source{ID: source},
		Destination: api.Destination{ID: destination, Protocol: protocol, Ports: ports},
	}, nil
}

// newList returns list-access.
func newList(p *platform) *cobra.Command {
	var source, destination string
	cmd := &cobra.Command{
		Use:  strings.TrimPrefix(listUsage, "cf "),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var filter api.Filter
			for _, end := range []struct {
				name string
				into *[]string
			}{{source, &filter.Source}, {destination, &filter.Dest}} {
				if end.name == "" {
					continue
				}
				id, err := p.app(end.name)
				if err != nil {
					return err
				}
				*end.into = []string{id}
			}
			client, err := p.client()
			if err != nil {
				return err
			}
			list, err := client.Policies(cmd.Context(), filter)
			if err != nil {
				return err
			}
			names := p.names()
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(table, "source\tdestination\tprotocol\tports")
			for _, x := range list.Policies {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", nameOf(names, x.Source.ID), nameOf(names, x.Destination.ID), x.Destination.Protocol, x.Destination.Ports)
			}
			return table.Flush()
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "")
	cmd.Flags().StringVar(&destination, "destination", "", "")
	return cmd
}

// nameOf shows an app of another space by its GUID. Quotes keep what is no
// plain text from moving the cursor.
func nameOf(names map[string]string, id string) string {
	text, known := names[id]
	if !known {
		text = id
	}
	if quoted := strconv.QuoteToASCII(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}
