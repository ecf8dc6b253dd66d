package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/settings"
)

func cleanupCommand() *cobra.Command {
	var path string
	var bridge bool
	cmd := &cobra.Command{
		Use:   "cleanup --config FILE [--bridge]",
		Short: "Remove what the agent made on this cell",
		Long: `cleanup removes what a stopped agent left on the host: the nftables tables
inet weft and bridge weft, the route to the cell's lease, the gateway's neighbour
entry and the bridge weftreject; the bridge's own device is set down. With --bridge it removes the OVS bridge too, if
the cell owns it and no container is attached. net.ipv4.ip_forward stays as it
is. What is gone already is no error.`,
		Example: "  weft-agent cleanup --config /etc/weft/weft-agent.yaml --bridge",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return errors.New("--config FILE is missing: it says which bridge and cell")
			}
			cfg := cellagent.DefaultConfig() // its certificates may be gone
			if _, err := settings.Load(program.Sources(cmd, path), settings.WithoutFiles(&cfg)); err != nil {
				return err
			}
			extent := cellagent.HostOnly
			if bridge {
				extent = cellagent.HostAndBridge
			}
			removed, err := cellagent.Cleanup(cmd.Context(), cfg, extent)
			for _, what := range removed {
				fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", what)
			}
			if err == nil && len(removed) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "nothing to remove")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "the agent's YAML file")
	cmd.Flags().BoolVar(&bridge, "bridge", false, "remove the OVS bridge too")
	return cmd
}
