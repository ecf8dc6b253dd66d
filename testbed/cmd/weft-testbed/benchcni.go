package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/testbed"
	"github.com/weft-sdn/weft/testbed/bench"
	"github.com/weft-sdn/weft/testbed/lab"
)

// labAttachments is how many containers are plugged in and out in the lab.
const labAttachments = 30

// attachTimes is what the run in the lab hands out, in milliseconds.
type attachTimes struct{ AddP50, AddP99, DelP50, DelP99 float64 }

// benchCNICommand compares weft-cni with the standard plugins on this machine,
// and measures it in the lab.
func benchCNICommand() *cobra.Command {
	var report string
	c := &cobra.Command{
		Use: "bench-cni", Args: cobra.NoArgs,
		Short: "compare weft-cni with the standard plugins bridge and host-local; the last line has all figures for programs to read",
	}
	c.Flags().StringVar(&report, "report", "", "write the figures to the generated part of this file, such as docs/performance.md")
	c.RunE = func(c *cobra.Command, args []string) error {
		m := metrics{}
		for _, run := range []benchRun{
			{"./testbed/bench", "^BenchmarkCNIProcess$", "3x"},
			{"./testbed/bench", "^BenchmarkCNIAgainstBridge$", "100x"},
			{"./testbed/bench", "^BenchmarkCNI$/^datapath=userspace$", "100x"},
		} {
			if err := m.measure(c.Context(), run); err != nil {
				return err
			}
		}
		var inTheLab attachTimes
		if err := readResult(c, &inTheLab, "bench-cni-lab"); err != nil {
			return err
		}
		if report != "" {
			if err := bench.RewritePart(report, cniBegin, cniEnd, cniReport(m, inTheLab)); err != nil {
				return err
			}
		}
		fmt.Println("figures: " + cniLine(m))
		return nil
	}
	return c
}

// benchCNILabCommand is the part of bench-cni that needs the lab.
func benchCNILabCommand() *cobra.Command {
	return &cobra.Command{
		Use: "bench-cni-lab", Args: cobra.NoArgs, Hidden: true,
		RunE: inLab(lab.Job{Limit: 6 * time.Minute}, benchCNIInLab),
	}
}

func benchCNIInLab() error {
	n := &narrator{start: time.Now()}
	var add, del []time.Duration
	err := n.play(func() {
		shared, err := testbed.Start(testbed.Options{Cells: 1, Progress: n})
		if err != nil {
			n.Fatalf("%v", err)
		}
		n.sayf("plugs %d containers in and out", labAttachments)
		add, del = shared.For(n).Cell(1).AttachTimes("cats", labAttachments)
	})
	if err != nil {
		return err
	}
	return printResult(attachTimes{percentile(add, 50), percentile(add, 99), percentile(del, 50), percentile(del, 99)})
}

// percentile is in milliseconds.
func percentile(all []time.Duration, p int) float64 {
	slices.Sort(all)
	return float64(all[min(len(all)-1, len(all)*p/100)].Microseconds()) / 1000
}

// metrics are what benchmarks printed, by their name and unit.
type metrics map[string]map[string]float64

func (m metrics) measure(ctx context.Context, run benchRun) error {
	fmt.Printf("# go test %s -bench '%s' -benchtime %s\n", run.pkg, run.pattern, run.times)
	cmd := exec.CommandContext(ctx, "go", "test", run.pkg, "-run=^$", "-bench="+run.pattern, "-benchtime="+run.times)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(os.Stdout, &out), os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go test %s: %w", run.pkg, err)
	}
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		of := map[string]float64{}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return fmt.Errorf("%s: %w", lines.Text(), err)
			}
			of[fields[i+1]] = value
		}
		m[strings.TrimSuffix(fields[0], "-"+strconv.Itoa(runtime.GOMAXPROCS(0)))] = of
	}
	return nil
}

// against are the metrics with so many containers of each kind on the cell.
func (m metrics) against(containers int) map[string]float64 {
	return m[fmt.Sprintf("BenchmarkCNIAgainstBridge/containers=%d", containers)]
}

func cniLine(m metrics) string {
	ratio := func(containers int, what string) float64 {
		of := m.against(containers)
		return of[what] / of["standard-"+what]
	}
	process := m["BenchmarkCNIProcess"]
	return fmt.Sprintf("add_p50_ratio=%.2f add_p99_ratio=%.2f add_p50_ratio_250=%.2f binary_mb=%.1f rss_mb=%.1f",
		ratio(0, "add-p50-ms"), ratio(0, "add-p99-ms"), ratio(250, "add-p50-ms"), process["binary-MB"], process["rss-MB"])
}

// The generated part of the report is between these lines.
const (
	cniBegin = "<!-- cni: written by make bench-cni -->"
	cniEnd   = "<!-- end of cni -->"
)

func cniReport(m metrics, inTheLab attachTimes) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s on %s. Milliseconds, p50 / p99 of 100 (lab: of %d).\n\n", time.Now().UTC().Format("2006-01-02"), bench.Machine(), labAttachments)
	b.WriteString("| containers on the cell | weft-cni ADD | bridge + host-local ADD | ratio | weft-cni DEL | bridge + host-local DEL | ratio |\n|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, containers := range []int{0, 50, 250} {
		of := m.against(containers)
		fmt.Fprintf(&b, "| %d of each", containers)
		for _, verb := range []string{"add", "del"} {
			ours50, ours99 := of[verb+"-p50-ms"], of[verb+"-p99-ms"]
			theirs50, theirs99 := of["standard-"+verb+"-p50-ms"], of["standard-"+verb+"-p99-ms"]
			fmt.Fprintf(&b, " | %.1f / %.1f | %.1f / %.1f | %.2f / %.2f", ours50, ours99, theirs50, theirs99, ours50/theirs50, ours99/theirs99)
		}
		b.WriteString(" |\n")
	}
	userspace, process := m["BenchmarkCNI/datapath=userspace"], m["BenchmarkCNIProcess"]
	fmt.Fprintf(&b, "\n| where | ADD | DEL |\n|---|---:|---:|\n| a cell alone, on OVS's userspace datapath | %.1f / %.1f | %.1f / %.1f |\n| in the lab, emulated, on the kernel's datapath | %.0f / %.0f | %.0f / %.0f |\n",
		userspace["add-p50-ms"], userspace["add-p99-ms"], userspace["del-p50-ms"], userspace["del-p99-ms"],
		inTheLab.AddP50, inTheLab.AddP99, inTheLab.DelP50, inTheLab.DelP99)
	fmt.Fprintf(&b, "\n`weft-cni` is a program of %.1f MB; an ADD takes %.1f MB of memory at most (VmHWM).\n", process["binary-MB"], process["rss-MB"])
	return b.String()
}
