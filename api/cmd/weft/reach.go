package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
)

// newWhoCanReach returns weft who-can-reach.
func newWhoCanReach(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "who-can-reach APP",
		Short: "Show which apps may connect to an app",
		Long: `Show which apps may connect to APP, by which policies, and how many containers
each of them has now. Instances of APP itself are there only if a policy lets
them talk to each other.

These are the connections inside the overlay. What comes from outside comes
through the host, which weft does not judge.`,
		Example: `  weft who-can-reach dogs
  weft who-can-reach acme/prod/dogs        # with weft login --cc
  weft who-can-reach dogs -o json | jq -r '.reachers[].app'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return fmt.Errorf("who-can-reach takes one app, but got %d arguments: try weft who-can-reach dogs", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			known, err := c.names()
			if err != nil {
				return err
			}
			if err := known.mustResolve(cmd.Context(), args[0]); err != nil {
				return err
			}
			client, err := c.client()
			if err != nil {
				return err
			}
			list, err := client.Reachers(cmd.Context(), known.id(args[0]))
			if err != nil {
				return err
			}
			if err := c.print(cmd.OutOrStdout(), list, func() error { return sayReachers(cmd, args[0], list, known) }); err != nil {
				return err
			}
			noteNobody(cmd.ErrOrStderr(), args[0], list)
			return nil
		},
		ValidArgsFunction: (&access{cli: c}).completeApps,
	}
}

func sayReachers(cmd *cobra.Command, app string, list api.ReachersList, known *names) error {
	out := cmd.OutOrStdout()
	if len(list.Reachers) == 0 {
		_, err := fmt.Fprintf(out, "No app may connect to %s. weft allow-access SOURCE %s --port PORT lets one.\n", safe(app), safe(app))
		return err
	}
	var apps []string
	for _, r := range list.Reachers {
		apps = append(apps, r.App)
	}
	_ = known.learn(cmd.Context(), apps) // GUIDs do where names are not to be had
	var rows [][]string
	for _, r := range list.Reachers {
		for _, p := range r.Policies {
			rows = append(rows, []string{
				known.name(r.App), p.Protocol, p.Ports.String(), strconv.Itoa(len(r.Endpoints)), strconv.FormatUint(p.ID, 10), p.Set, p.Name,
			})
		}
	}
	return printTable(out, []string{"APP", "PROTOCOL", "PORTS", "CONTAINERS", "POLICY", "SET", "NAME"}, rows)
}
