package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/testbed/bench/policyapi"
)

// benchAPICommand measures with the weft-controller that is beside this binary.
func benchAPICommand() *cobra.Command {
	var report string
	c := &cobra.Command{
		Use: "bench-api", Args: cobra.NoArgs,
		Short: "measure the policy API at 20,000 apps and 60,000 policies; the last line has all figures for programs to read",
		RunE: func(c *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this binary: %w", err)
			}
			dir, err := os.MkdirTemp("", "weft-bench-api-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			start := time.Now()
			r, err := policyapi.Measure(c.Context(), policyapi.Options{
				Controller: filepath.Join(filepath.Dir(self), "weft-controller"),
				Dir:        dir,
				Say: func(format string, args ...any) {
					fmt.Fprintf(c.ErrOrStderr(), "[%5.1f s] %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
				},
			})
			if err != nil {
				return err
			}
			if report != "" {
				if err := policyapi.WriteReport(report, r, time.Now()); err != nil {
					return err
				}
			}
			fmt.Println(r.Line())
			return nil
		},
	}
	c.Flags().StringVar(&report, "report", "", "write the figures to the generated part of this file, such as docs/performance.md")
	return c
}
