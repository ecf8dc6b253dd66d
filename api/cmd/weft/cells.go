package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
)

const cellsHelp = `Show the cells that hold a lease, that held one which has expired, or that were
drained. REVISION is the newest change that the cell's switch itself has
confirmed; ERROR is what its agent last could not install. STATE is

  connected  its switch has confirmed every change of its table
  behind     it has yet to confirm one: for a moment after every change
  away       its agent is not connected to this controller
  draining   it starts no more containers (weft cells drain)
  drained    it has no lease, and gets none (weft cells undrain)
  expired    it was away for lease_expiry: no other cell sends to it or accepts
             from it, and its subnet may go to another cell
  returning  it is back, and the others do not know it before its switch has
             confirmed a table of now

Cells that stay behind or away hold up the release of group ids (weft groups).
The subnet of a cell that is a router is one address (/32).`

// newCells returns weft cells.
func newCells(c *cli) *cobra.Command {
	l := listing[api.Cell]{
		headers: []string{"CELL", "VTEP", "SUBNET", "STATE", "REVISION", "ENDPOINTS", "ERROR"},
		fetch:   func(ctx context.Context, client *api.Client) ([]api.Cell, error) { return client.Cells(ctx) },
		row: func(x api.Cell) []string {
			return []string{
				x.Cell, x.VTEP, x.Subnet, cellState(x), strconv.FormatUint(x.Applied, 10), strconv.Itoa(x.Endpoints), x.Error,
			}
		},
		wrap: func(list []api.Cell) any { return api.CellsList{Cells: list} },
		none: "No cell has a lease. A cell gets one when its weft-agent first reaches the controller.",
	}
	cmd := &cobra.Command{
		Use:   "cells",
		Short: "Show the cells and what their switches hold; drain and remove them",
		Long:  cellsHelp,
		Example: `  weft cells
  weft cells -o json | jq -r '.cells[] | select(.connected | not) | .cell'`,
		Args: cobra.NoArgs,
		RunE: l.run(c),
	}
	cmd.AddCommand(newDrain(c), newUndrain(c), newRemoveCell(c))
	return cmd
}

func cellState(x api.Cell) string {
	switch {
	case x.State == api.CellDraining && !x.Connected:
		return "draining, away"
	case x.State != "":
		return x.State
	case !x.Connected:
		return "away"
	case x.Behind:
		return "behind"
	}
	return "connected"
}

// newUndrain returns weft cells undrain.
func newUndrain(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "undrain CELL",
		Short: "Take back a drain",
		Long: `Let a cell start containers again that was to be drained. One that has been
drained may ask for a lease again, as its agent does while it runs.`,
		Example:           `  weft cells undrain cell-3`,
		Args:              oneCell("undrain"),
		ValidArgsFunction: c.completeCells,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.changeCell(cmd, args[0], (*api.Client).UndrainCell, func(change api.CellChange) string {
				if change.Revision == 0 {
					return args[0] + " was not to be drained."
				}
				return fmt.Sprintf("%s may start containers, and get a lease if it has none (revision %d).", args[0], change.Revision)
			})
		},
	}
}

// newRemoveCell returns weft cells remove.
func newRemoveCell(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "remove CELL",
		Short: "Remove a cell that is dead",
		Long: `End the lease of a cell that is gone for good: no other cell sends to it or
accepts from it, its subnet is free, and it is not listed any more. A cell that
is connected is refused: drain it, or stop its agent first. With several
controllers on one database, a cell whose lease was renewed a moment ago is
refused too, since another one may have it connected.

A cell that was not dead gets a lease again when its agent is back; its old
subnet, if nobody else has got that. So stop its agent first. A drained cell is
refused while its agent asks for a lease, and until it has been silent for half
a minute: it stays drained.`,
		Example:           `  weft cells remove cell-3`,
		Args:              oneCell("remove"),
		ValidArgsFunction: c.completeCells,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.changeCell(cmd, args[0], (*api.Client).RemoveCell, func(change api.CellChange) string {
				return fmt.Sprintf("%s is removed: no other cell sends to it or accepts from it (revision %d).", args[0], change.Revision)
			})
		},
	}
}

// changeCell makes one change of a cell, and says what came of it.
func (c *cli) changeCell(cmd *cobra.Command, cell string, change func(*api.Client, context.Context, string) (api.CellChange, error), text func(api.CellChange) string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	done, err := change(client, cmd.Context(), cell)
	if err != nil {
		return err
	}
	return c.print(cmd.OutOrStdout(), done, func() error {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), text(done))
		return err
	})
}

func oneCell(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("cells %s takes one cell, but got %d arguments: try weft cells %s cell-1 (weft cells shows them)", what, len(args), what)
		}
		return nil
	}
}

// completeCells offers the cells that there are.
func (c *cli) completeCells(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	client, err := c.client()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cells, err := client.Cells(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]string, len(cells))
	for i, cell := range cells {
		names[i] = cell.Cell
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
