// Command weft-agent keeps one cell's Open vSwitch bridge as the controller
// wants it. See package cellagent.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/buildinfo"
	"github.com/weft-sdn/weft/cellagent"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "weft-agent: %v\n", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var path string
	root := &cobra.Command{
		Use:   "weft-agent --config FILE",
		Short: "Keep this cell's bridge as the controller wants it",
		Long: `weft-agent runs on every cell. It asks the controller for the cell's overlay
subnet, makes the bridge and its VXLAN-GBP tunnel, reports the containers that
weft-cni attached, and keeps the bridge's flows equal to the controller's table.

It may be stopped and started at any time: running traffic does not notice, and
a start with nothing new changes no flow. SIGTERM leaves everything as it is.`,
		Example: `  # run, with a file like this:
  weft-agent --config /etc/weft/weft-agent.yaml

  cell: cell-1
  underlay_ip: 172.31.0.1
  controller: https://controller.example:4003
  tls:
    cert_file: /etc/weft/cell-1.crt
    key_file: /etc/weft/cell-1.key
    ca_file: /etc/weft/ca.crt
  # every other key has a default; docs/configuration.md explains all of them, and
  # an environment variable such as WEFT_AGENT_LOG_LEVEL goes before the file

  # what is wrong with the file, and what counts in the end?
  weft-agent config check --config /etc/weft/weft-agent.yaml
  weft-agent config show --config /etc/weft/weft-agent.yaml

  # what is it doing, and is the switch in step?
  weft-agent status`,
		Version: buildinfo.Version(),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 && args[0] == "doctor" {
				return errors.New(`unknown command "doctor": the agent's findings are shown by weft doctor`)
			}
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q: weft-agent --help lists the commands", args[0])
			}
			return nil
		},
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return errors.New("--config FILE is missing; weft-agent --help shows a file to start from")
			}
			cfg, log, err := loadConfig(cmd, path)
			if err != nil {
				return err
			}
			slog.SetDefault(log) // for the database client, which has no logger of its own
			return cellagent.Run(cmd.Context(), cfg, log)
		},
	}
	root.Flags().StringVar(&path, "config", "", "YAML file, such as the example above")
	program.RegisterFlags(root)
	root.AddCommand(statusCommand(), cleanupCommand(), program.Command())
	return root
}
