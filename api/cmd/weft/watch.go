package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
)

// newWatch returns weft watch.
func newWatch(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "watch",
		Short: "Show changes of policies as they happen",
		Long: `Show each change of policies from now on, one line for each policy, as weft
audit shows it, until you stop it. With -o json, one document on a line for each
change. It ends with an error when the controller goes away: weft audit has what
happened meanwhile.`,
		Example: `  weft watch
  weft watch -o json | jq --unbuffered -r '.by'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			known, err := c.names()
			if err != nil {
				return err
			}
			client, err := c.client()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			lines := json.NewEncoder(out)
			lines.SetEscapeHTML(false)
			err = client.Watch(cmd.Context(), func(e api.AuditEntry) error {
				if c.output == "json" {
					return lines.Encode(e)
				}
				learnEntries(cmd.Context(), known, []api.AuditEntry{e})
				return sayEntry(out, e, known)
			})
			if cmd.Context().Err() != nil {
				return nil // somebody stopped it
			}
			return err
		},
	}
}
