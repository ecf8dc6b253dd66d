package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/testbed/bench/scale"
	"github.com/weft-sdn/weft/testbed/fleet"
)

// benchScaleCommand measures with the weft-controller that is beside this binary.
func benchScaleCommand() *cobra.Command {
	var report, results string
	cells := 1000
	c := &cobra.Command{
		Use: "bench-scale", Args: cobra.NoArgs,
		Short: "measure one controller with a simulated fleet of 1,000 cells; the last line has the figures for programs to read",
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this binary: %w", err)
		}
		dir, err := os.MkdirTemp("", "weft-bench-scale-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		start := time.Now()
		r, err := scale.Measure(c.Context(), scale.Options{
			Controller: filepath.Join(filepath.Dir(self), "weft-controller"),
			Fleet:      []string{self, "fleet"},
			Dir:        dir,
			Cells:      cells,
			Say: func(format string, args ...any) {
				fmt.Fprintf(c.ErrOrStderr(), "[%5.1f s] %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
			},
		})
		if err != nil {
			return err
		}
		if err := writeScale(r, report, results); err != nil {
			return err
		}
		fmt.Printf("\n%sfigures: %s\n", r.Tables(start), r.Line())
		return nil
	}
	c.Flags().IntVar(&cells, "cells", cells, "how many cells the fleet has, from 10")
	c.Flags().StringVar(&report, "report", "", "write the figures to the generated part of this file, such as docs/performance.md")
	c.Flags().StringVar(&results, "json", "", "write everything that was measured to this file")
	return c
}

// writeScale writes the files that were asked for; "" for none.
func writeScale(r scale.Result, report, results string) error {
	if report != "" {
		if err := scale.WriteReport(report, r, time.Now()); err != nil {
			return err
		}
	}
	if results == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err == nil {
		err = os.WriteFile(results, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("results: %w", err)
	}
	return nil
}

// fleetCommand is the process of the simulated agents.
func fleetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "fleet", Args: cobra.NoArgs, Hidden: true,
		Short: "simulate cells' agents as lines on standard input say",
		RunE: func(c *cobra.Command, _ []string) error {
			debug.SetGCPercent(400) // thousands of agents in one process: their garbage is not what is measured
			return fleet.Serve(c.Context(), os.Stdin, os.Stdout)
		},
	}
}
