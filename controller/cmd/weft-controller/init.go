package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/controller/pki"
)

func initCommand() *cobra.Command {
	var dir, cells string
	var names, clients []string
	cmd := &cobra.Command{
		Use:   "init --dir DIR --cells CELL[=UNDERLAY-IP],...",
		Short: "Make certificates and configuration files for a controller and its cells",
		Long: `init makes, in DIR, a certificate authority, the controller's certificate and
configuration file, and for each cell a certificate (its common name is the cell's
id) and an agent's configuration file. For each of --clients it makes a certificate
with the common name NAME.client, which opens Cloud Foundry's internal API to an
agent that is not ours, and lets nobody act as a cell. Run it again with more cells
or clients to add them: it never changes a file that is there.

Give each cell its own .crt, .key and ca.crt. ca.key signs cells: keep it off them.`,
		Example: `  weft-controller init --dir /etc/weft --cells cell-1=192.0.2.1,cell-2=192.0.2.2 --controller-names controller.example,192.0.2.10
  weft-controller --config /etc/weft/weft-controller.yaml`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := pki.ParseCells(cells)
			if err != nil {
				return fmt.Errorf("--cells: %w", err)
			}
			files, err := pki.Init(pki.Request{Dir: dir, Cells: list, Clients: clients, ControllerNames: names, Now: time.Now()})
			if err != nil {
				return fmt.Errorf("init: %w", err)
			}
			out := cmd.OutOrStdout()
			made := map[string]bool{}
			for _, f := range files {
				if made[filepath.Base(f.Path)] = f.Made; f.Made {
					fmt.Fprintf(out, "made  %s\n", f.Path)
				} else {
					fmt.Fprintf(out, "kept  %s\n", f.Path)
				}
			}
			fmt.Fprintf(out, "\nNext: weft-controller --config %s\n", filepath.Join(dir, pki.ControllerFile))
			for _, cell := range list {
				if file := pki.CellFile(cell.ID); made[file] && !cell.Underlay.IsValid() {
					fmt.Fprintf(out, "Then: set underlay_ip in %s\n", filepath.Join(dir, file))
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder to make everything in")
	cmd.Flags().StringVar(&cells, "cells", "", "cell ids, separated by commas, each with =UNDERLAY-IP if known")
	cmd.Flags().StringSliceVar(&names, "controller-names", []string{"localhost", "127.0.0.1"},
		"host names and addresses in the controller's certificate; agents are told the first")
	cmd.Flags().StringSliceVar(&clients, "clients", nil, "names of clients of the internal API that are no cells")
	_ = cmd.MarkFlagRequired("dir") // fails only for a flag that does not exist
	return cmd
}
