package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// newExplain returns weft explain.
func newExplain(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "explain COOKIE",
		Short: "Say what caused a flow, from its cookie",
		Long: `Say which policy, egress rule, container or cell caused the flows that carry COOKIE, and
which source file compiles such flows. Copy the cookie from a line of
ovs-ofctl --names dump-flows br-weft.`,
		Example: `  weft explain 0x4000000000000007
  weft explain cookie=0x4000000000000007,`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("explain takes one cookie, but got %d arguments: try weft explain 0x4000000000000007", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			text := strings.TrimSuffix(strings.TrimPrefix(args[0], "cookie="), ",")
			cookie, err := flows.ParseCookie(text)
			if err != nil {
				return fmt.Errorf("%q is not a cookie: give it as ovs-ofctl prints it, such as 0x4000000000000007", args[0])
			}
			client, err := c.client()
			if err != nil {
				return err
			}
			e, err := client.Explain(cmd.Context(), cookie.String())
			if err != nil {
				return err
			}
			return c.print(cmd.OutOrStdout(), e, func() error { return sayExplanation(cmd, e) })
		},
	}
}

func sayExplanation(cmd *cobra.Command, e api.Explanation) error {
	out := cmd.OutOrStdout()
	if _, err := fmt.Fprintf(out, "%s\ncompiled by %s\n", printable(e.Text), e.File); err != nil {
		return err
	}
	for _, p := range e.Policies {
		d := p.Destination
		if _, err := fmt.Fprintf(out, "policy %d: %s -> %s %s %s\n", p.ID, safe(p.Source.ID), safe(d.ID), d.Protocol, d.Ports); err != nil {
			return err
		}
	}
	for _, ep := range e.Endpoints {
		app := "without an app"
		if ep.App != "" {
			app = "of app " + safe(ep.App)
		}
		if _, err := fmt.Fprintf(out, "container %s %s on cell %s\n", safe(ep.Container), app, safe(ep.Cell)); err != nil {
			return err
		}
	}
	return nil
}

// printable is safe for a sentence, which may be empty.
func printable(s string) string {
	if s == "" {
		return s
	}
	return safe(s)
}
