package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/testbed"
	"github.com/weft-sdn/weft/testbed/bench/datapath"
	"github.com/weft-sdn/weft/testbed/lab"
)

// benchDatapathCommand runs itself in the lab, passes on what that prints and
// keeps its result.
func benchDatapathCommand() *cobra.Command {
	var report string
	var o datapath.Options
	c := &cobra.Command{
		Use: "bench-datapath", Args: cobra.NoArgs,
		Short: "compare the pipeline with hand-written flows; the last line has all figures for programs to read",
	}
	c.Flags().StringVar(&report, "report", "", "write the figures to the generated part of this file, such as docs/performance.md")
	c.Flags().IntVar(&o.Pairs, "pairs", 31, "pairs of samples of each kind")
	c.Flags().BoolVar(&o.Explain, "explain", false, "print the datapath's flows after each kind of sample")
	c.Flags().BoolVar(&o.Wall, "wall", false, "take the time that the emulator needs, on two CPUs, instead of counting instructions")
	c.RunE = func(c *cobra.Command, args []string) error {
		if report == "" || lab.Inside() {
			job := lab.Job{Limit: 12 * time.Minute, CountedClock: !o.Wall}
			return inLab(job, func() error { return benchDatapath(o) })(c, args)
		}
		if o.Pairs < 1 {
			return fmt.Errorf("%d pairs of samples are none", o.Pairs)
		}
		var r datapath.Result
		err := readResult(c, &r, c.Name(), fmt.Sprintf("--pairs=%d", o.Pairs), fmt.Sprintf("--explain=%t", o.Explain), fmt.Sprintf("--wall=%t", o.Wall))
		if err != nil {
			return err
		}
		return datapath.WriteReport(report, r, time.Now())
	}
	return c
}

// benchDatapath is the run in the lab.
func benchDatapath(o datapath.Options) error {
	n := &narrator{start: time.Now()}
	o.Say, o.Wall = n.sayf, !lab.CountedClock()
	var r datapath.Result
	err := n.play(func() {
		shared, err := testbed.Start(testbed.Options{Cells: 2, Progress: n})
		if err != nil {
			n.Fatalf("%v", err)
		}
		if r, err = datapath.Measure(shared.For(n), o); err != nil {
			n.Fatalf("%v", err)
		}
	})
	if err != nil {
		return err
	}
	if err := printResult(r); err != nil {
		return err
	}
	fmt.Println(r.Line())
	return nil
}
