package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
)

const loggingHelp = `Show or switch which accepted connections the cells write to their flow logs.
Denied ones are always logged, at most so many a second for each container.

An app that is switched on has the first packet of every connection logged that
a container of it opens or accepts. It may be an app that nobody knows yet: it
is logged from its first container on. Switches are kept by the controller, and
reach every cell as fast as a policy does; weft endpoints shows in LOG whom they
concern now. Egress rules have a switch of their own, the word log in the rule.`

// newLogging returns weft logging.
func newLogging(c *cli) *cobra.Command {
	var all string
	cmd := &cobra.Command{
		Use:   "logging [APP on|off | --all on|off]",
		Short: "Show or switch the log of accepted connections",
		Long:  loggingHelp,
		Example: `  weft logging
  weft logging cats on
  weft logging --all on
  weft logging --all off     # back to the apps that are switched on by name`,
		Args: func(cmd *cobra.Command, args []string) error {
			return checkLogging(args, cmd.Flags().Changed("all"), all)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			logging, err := client.Logging(cmd.Context())
			if err != nil {
				return err
			}
			known, err := c.names()
			if err != nil {
				return err
			}
			if len(args) == 2 {
				if err := known.mustResolve(cmd.Context(), args[0]); err != nil {
					return err
				}
				args[0] = known.id(args[0])
			}
			if len(args) == 2 || all != "" {
				if logging, err = switchLogging(cmd.Context(), client, logging, args, all); err != nil {
					return err
				}
			}
			return c.print(cmd.OutOrStdout(), logging, func() error {
				_ = known.learn(cmd.Context(), logging.Apps) // GUIDs do where names are not to be had
				return sayLogging(cmd, logging, known)
			})
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return []string{"on", "off"}, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().StringVar(&all, "all", "", "on: log every app; off: only those switched on by name")
	_ = cmd.RegisterFlagCompletionFunc("all", cobra.FixedCompletions([]string{"on", "off"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	return cmd
}

func checkLogging(args []string, given bool, all string) error {
	switch {
	case given && all != "on" && all != "off":
		return fmt.Errorf("--all %q: must be on or off", all)
	case given && len(args) > 0:
		return fmt.Errorf("--all is for every app, and %q for one: give one of them", args[0])
	case len(args) == 0:
		return nil
	case len(args) == 1 && (args[0] == "on" || args[0] == "off"):
		return fmt.Errorf("logging %s: of whom? weft logging APP %s for one app, weft logging --all %s for every app", args[0], args[0], args[0])
	case len(args) != 2 || args[1] != "on" && args[1] != "off":
		return fmt.Errorf("logging takes an app and on or off, but got %q: try weft logging %s on", strings.Join(args, " "), args[0])
	case args[0] == "":
		return fmt.Errorf("the app is empty: a container without an app is logged by --all on alone")
	}
	return nil
}

// switchLogging changes one thing of the setting. Who else switches at the same
// moment may win: the whole setting is written.
func switchLogging(ctx context.Context, client *api.Client, logging api.Logging, args []string, all string) (api.Logging, error) {
	if all != "" {
		logging.Accepted = all == "on"
		return client.SetLogging(ctx, logging)
	}
	logging.Apps = slices.DeleteFunc(logging.Apps, func(app string) bool { return app == args[0] })
	if args[1] == "on" {
		logging.Apps = append(logging.Apps, args[0])
	}
	return client.SetLogging(ctx, logging)
}

func sayLogging(cmd *cobra.Command, logging api.Logging, known *names) error {
	apps := make([]string, len(logging.Apps))
	for i, app := range logging.Apps {
		apps[i] = safe(known.name(app))
	}
	out, list := cmd.OutOrStdout(), strings.Join(apps, ", ")
	var err error
	switch {
	case logging.Accepted && len(apps) > 0:
		_, err = fmt.Fprintf(out, "Accepted connections of every app are logged. Switched on by name as well: %s\n", list)
	case logging.Accepted:
		_, err = fmt.Fprintln(out, "Accepted connections of every app are logged.")
	case len(apps) > 0:
		_, err = fmt.Fprintf(out, "Accepted connections of these apps are logged: %s\n", list)
	default:
		_, err = fmt.Fprintln(out, "No accepted connections are logged. weft logging APP on logs those of an app.")
	}
	return err
}
