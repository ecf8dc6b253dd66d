package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/testbed"
	"github.com/weft-sdn/weft/testbed/bench/datapath"
	"github.com/weft-sdn/weft/testbed/lab"
)

// datapathResult introduces the line by which the run in the lab hands its
// result out: the console is all that leaves the lab.
const datapathResult = "json: "

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
		r, err := measureDatapath(c, o)
		if err != nil {
			return err
		}
		return datapath.WriteReport(report, r, time.Now())
	}
	return c
}

// measureDatapath starts the run in the lab as a process of its own, whose
// output it can read.
func measureDatapath(c *cobra.Command, o datapath.Options) (r datapath.Result, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, fmt.Errorf("find this binary: %w", err)
	}
	cmd := exec.CommandContext(c.Context(), self, c.Name(), fmt.Sprintf("--pairs=%d", o.Pairs), fmt.Sprintf("--explain=%t", o.Explain), fmt.Sprintf("--wall=%t", o.Wall))
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := cmd.Start(); err != nil {
		return r, err
	}
	found := false
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Println(lines.Text())
		if text, ok := strings.CutPrefix(lines.Text(), datapathResult); ok {
			found = true
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				return r, fmt.Errorf("read the result: %w", err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		return r, fmt.Errorf("the run in the lab: %w", err)
	}
	if !found {
		return r, fmt.Errorf("the run in the lab printed no result")
	}
	return r, nil
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
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fmt.Printf("%s%s\n%s\n", datapathResult, data, r.Line())
	return nil
}
