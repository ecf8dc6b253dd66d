package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
)

const (
	// drainLook is how often a drain's progress is looked at.
	drainLook = 500 * time.Millisecond
	// drainLag is how long another replica may take to hear of a drain.
	drainLag = 5 * time.Second
)

// drain is weft cells drain.
type drain struct {
	*cli
	cell    string
	timeout time.Duration
	noWait  bool
	out     io.Writer
}

func newDrain(c *cli) *cobra.Command {
	d := &drain{cli: c}
	cmd := &cobra.Command{
		Use:   "drain CELL",
		Short: "Take a cell out of service",
		Long: `Have a cell start no more containers, and wait until those that it has have
ended: then its lease ends by itself, no other cell sends to it, and it gets no
other lease before weft cells undrain lets it in again. Evacuating the containers
is the platform's business.

A line is printed whenever their number changes. At the timeout the drain goes
on; weft cells drain CELL waits on, and weft cells undrain CELL takes it back. A
drain survives restarts of the controller and of the agent; that of a cell that
is away begins when its agent is back, or ends with its lease when that expires:
a cell whose lease has expired is drained at once.`,
		Example: `  weft cells drain cell-3
  weft cells drain cell-3 --timeout 1h
  weft cells drain cell-3 --no-wait`,
		Args:              oneCell("drain"),
		ValidArgsFunction: c.completeCells,
		RunE: func(cmd *cobra.Command, args []string) error {
			d.cell, d.out = args[0], cmd.OutOrStdout()
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().DurationVar(&d.timeout, "timeout", 10*time.Minute, "how long to wait at most")
	cmd.Flags().BoolVar(&d.noWait, "no-wait", false, "only begin")
	cmd.MarkFlagsMutuallyExclusive("timeout", "no-wait")
	return cmd
}

func (d *drain) run(ctx context.Context) error {
	if d.timeout <= 0 {
		return fmt.Errorf("--timeout %v: must be more than 0, such as 10m", d.timeout)
	}
	client, err := d.client()
	if err != nil {
		return err
	}
	change, err := client.DrainCell(ctx, d.cell)
	if err != nil {
		return err
	}
	if d.noWait {
		return d.print(d.out, change, func() error {
			return d.say("%s starts no more containers, and loses its lease when it has none (weft cells).", d.cell)
		})
	}
	drained, err := d.wait(ctx, client)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("stopped before %s was drained; the drain goes on: weft cells undrain %s takes it back", d.cell, d.cell)
	case err != nil:
		return err
	}
	return d.print(d.out, drained, func() error {
		return d.say("%s is drained: its lease has ended. weft cells undrain %s lets it in again.", d.cell, d.cell)
	})
}

// wait returns when the cell is drained, and says what is left whenever that
// changes.
func (d *drain) wait(ctx context.Context, client *api.Client) (api.Cell, error) {
	began, said := time.Now(), ""
	for {
		cells, err := client.Cells(ctx)
		if err != nil {
			return api.Cell{}, err
		}
		i := slices.IndexFunc(cells, func(x api.Cell) bool { return x.Cell == d.cell })
		if i < 0 {
			return api.Cell{}, fmt.Errorf("%s is not listed any more: somebody has removed it, or let it in again", d.cell)
		}
		left, err := d.left(cells[i], time.Since(began))
		if err != nil || left == "" {
			return cells[i], err
		}
		if left != said && d.output != "json" {
			if err := d.say("%s: %s", d.cell, left); err != nil {
				return api.Cell{}, err
			}
			said = left
		}
		if time.Since(began) >= d.timeout {
			return api.Cell{}, fmt.Errorf("%s is not drained after %v: %s; the drain goes on: weft cells drain %s waits on, weft cells undrain %s takes it back",
				d.cell, d.timeout, left, d.cell, d.cell)
		}
		select {
		case <-ctx.Done():
			return api.Cell{}, ctx.Err()
		case <-time.After(min(drainLook, d.timeout)):
		}
	}
}

// left says what a drain still waits for, "" for nothing.
func (d *drain) left(cell api.Cell, waited time.Duration) (string, error) {
	switch {
	case cell.State == api.CellDrained:
		return "", nil
	case cell.State == api.CellExpired:
		return "its lease has expired, and its agent is away; if it is dead, weft cells remove " + d.cell, nil
	case cell.State != api.CellDraining && waited > drainLag:
		return "", fmt.Errorf("%s is not to be drained any more: somebody has taken it back", d.cell)
	case cell.State != api.CellDraining:
		return "waiting for the controller to follow", nil
	case !cell.Connected:
		return "its agent is away: the drain begins when that is back; if it is dead, weft cells remove " + d.cell, nil
	case cell.Endpoints == 0:
		return "no container is left; waiting for its agent to confirm", nil
	case cell.Endpoints == 1:
		return "1 container is left", nil
	}
	return fmt.Sprintf("%d containers are left", cell.Endpoints), nil
}

func (d *drain) say(format string, args ...any) error {
	_, err := fmt.Fprintf(d.out, format+"\n", args...)
	return err
}
