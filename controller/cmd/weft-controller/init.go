package main

import (
	"fmt"
	"io"
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
or clients to add them: it never changes a file that is there, and says what it
would have had to change. To renew a certificate, or to give the controller's other
names, move it and its key away before.

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
			report(cmd.OutOrStdout(), dir, files, len(list) > 0)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder to make everything in")
	cmd.Flags().StringVar(&cells, "cells", "", "cell ids, separated by commas, each with =UNDERLAY-IP if known")
	cmd.Flags().StringSliceVar(&names, "controller-names", nil,
		"host names and addresses in the controller's certificate; agents are told the first (default: those of the certificate that is there, else localhost and 127.0.0.1)")
	cmd.Flags().StringSliceVar(&clients, "clients", nil, "names of clients of the internal API that are no cells")
	_ = cmd.MarkFlagRequired("dir") // fails only for a flag that does not exist
	return cmd
}

// report says what became of each file, and what is left to do.
func report(out io.Writer, dir string, files []pki.File, cells bool) {
	for _, f := range files {
		verb := "kept"
		if f.Made {
			verb = "made"
		}
		fmt.Fprintf(out, "%s  %s\n", verb, f.Path)
		for _, text := range f.Differs {
			fmt.Fprintf(out, "      NOT CHANGED: %s\n", text)
		}
	}
	fmt.Fprintf(out, "\nNext: weft-controller --config %s\n", filepath.Join(dir, pki.ControllerFile))
	if !cells {
		fmt.Fprintf(out, "Then: no cell was named: weft-controller init --dir %s --cells CELL=UNDERLAY-IP,... adds them\n", dir)
	}
	for _, f := range files {
		for _, text := range f.Unset {
			fmt.Fprintf(out, "Then: in %s set %s\n", f.Path, text)
		}
	}
}
