// Command weft-controller serves the policy API and tells the cells' agents
// their flow tables. See package server; weft-controller init makes the
// certificates and configuration files of a new installation.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/buildinfo"
	"github.com/weft-sdn/weft/controller/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "weft-controller: %v\n", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var path string
	root := &cobra.Command{
		Use:   "weft-controller --config FILE",
		Short: "Serve the policy API and tell the cells their flow tables",
		Long: `weft-controller keeps policies, group ids and leases in its database, computes the
flow table of every cell and streams it to the cell's agent. It may be stopped and
started at any time: running traffic does not notice, and what the API has
acknowledged is in the database.

Each key of the file can be given as an environment variable, too, such as
WEFT_CONTROLLER_AUTH_MODE for auth.mode, and as a flag, which goes before both.
docs/configuration.md explains all keys.`,
		Example: `  # make a certificate authority, certificates and configuration files
  weft-controller init --dir /etc/weft --cells cell-1=192.0.2.11,cell-2=192.0.2.12 --controller-names controller.example

  # run
  weft-controller --config /etc/weft/weft-controller.yaml

  # what is wrong with the file, and what counts in the end?
  weft-controller config check --config /etc/weft/weft-controller.yaml
  weft-controller config show --config /etc/weft/weft-controller.yaml

  # run on other ports, and see which in the log's line "ready"
  weft-controller --config /etc/weft/weft-controller.yaml --listen 127.0.0.1:0 --internal-listen 127.0.0.1:0`,
		Version: buildinfo.Version(),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q: weft-controller --help lists the commands", args[0])
			}
			return nil
		},
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return errors.New("--config FILE is missing; weft-controller init --help shows how to make one")
			}
			config, log, err := loadConfig(cmd, path)
			if err != nil {
				return err
			}
			return server.Run(cmd.Context(), config, log)
		},
	}
	root.Flags().StringVar(&path, "config", "", "YAML file; weft-controller init makes one that explains every key")
	program.RegisterFlags(root)
	root.SetGlobalNormalizationFunc(oldFlagNames)
	root.AddCommand(initCommand(), program.Command())
	root.AddCommand(databaseCommands()...)
	return root
}
