package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
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
		if err := m.complete(); err != nil {
			return err
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

// Names of benchmarks.
const (
	alone    = "BenchmarkCNI/datapath=userspace"
	ofPlugin = "BenchmarkCNIProcess"
)

// crowds are how many containers of each kind are on the cell.
var crowds = []int{0, 50, 250}

func against(containers int) string {
	return fmt.Sprintf("BenchmarkCNIAgainstBridge/containers=%d", containers)
}

// complete fails if a benchmark has not printed what the figures are made of.
func (m metrics) complete() error {
	units := map[string][]string{ofPlugin: {"binary-MB", "rss-MB"}}
	for _, verb := range []string{"add", "del"} {
		for _, unit := range []string{verb + "-p50-ms", verb + "-p99-ms"} {
			units[alone] = append(units[alone], unit)
			for _, n := range crowds {
				units[against(n)] = append(units[against(n)], unit, "standard-"+unit, "bare-"+unit)
			}
		}
	}
	for _, benchmark := range slices.Sorted(maps.Keys(units)) {
		for _, unit := range units[benchmark] {
			if m[benchmark][unit] <= 0 {
				return fmt.Errorf("%s printed no %s: has one of them another name now? (testbed/bench, benchcni.go)", benchmark, unit)
			}
		}
	}
	return nil
}

// ratio is weft-cni's share of what the standard plugins take.
func (m metrics) ratio(containers int, unit string) float64 {
	of := m[against(containers)]
	return of[unit] / of["standard-"+unit]
}

func cniLine(m metrics) string {
	var b strings.Builder
	for _, n := range crowds {
		suffix := ""
		if n > 0 {
			suffix = fmt.Sprintf("_%d", n)
		}
		fmt.Fprintf(&b, "add_p50_ratio%[1]s=%.2[2]f add_p99_ratio%[1]s=%.2[3]f ", suffix, m.ratio(n, "add-p50-ms"), m.ratio(n, "add-p99-ms"))
	}
	fmt.Fprintf(&b, "binary_mb=%.1f rss_mb=%.1f", m[ofPlugin]["binary-MB"], m[ofPlugin]["rss-MB"])
	return b.String()
}

// missed says where an ADD takes longer than the standard plugins'.
func (m metrics) missed() string {
	var all []string
	for _, n := range crowds {
		for _, p := range []string{"p50", "p99"} {
			if share := m.ratio(n, "add-"+p+"-ms"); math.Round(share*100) > 100 { // as it is shown
				all = append(all, fmt.Sprintf("%s with %d (%.2f)", p, n, share))
			}
		}
	}
	if len(all) == 0 {
		return "The target of ADD, a ratio of 1.00 / 1.00 at most, is met."
	}
	return "The target of ADD, a ratio of 1.00 / 1.00 at most, is missed at " + strings.Join(all, ", ") + "."
}

// The generated part of the report is between these lines.
const (
	cniBegin = "<!-- cni: written by make bench-cni -->"
	cniEnd   = "<!-- end of cni -->"
)

func cniReport(m metrics, inTheLab attachTimes) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s on %s. Milliseconds, p50 / p99 of 100 (lab: of %d).\n\n", time.Now().UTC().Format("2006-01-02"), bench.Machine(), labAttachments)
	b.WriteString("| containers on the cell | weft-cni ADD | bridge + host-local ADD | ratio | bare port, add | weft-cni DEL | bridge + host-local DEL | ratio | bare port, delete |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, containers := range crowds {
		of := m[against(containers)]
		fmt.Fprintf(&b, "| %d of each", containers)
		for _, verb := range []string{"add", "del"} {
			ours50, ours99 := of[verb+"-p50-ms"], of[verb+"-p99-ms"]
			theirs50, theirs99 := of["standard-"+verb+"-p50-ms"], of["standard-"+verb+"-p99-ms"]
			fmt.Fprintf(&b, " | %.1f / %.1f | %.1f / %.1f | %.2f / %.2f | %.1f / %.1f", ours50, ours99, theirs50, theirs99, ours50/theirs50, ours99/theirs99,
				of["bare-"+verb+"-p50-ms"], of["bare-"+verb+"-p99-ms"])
		}
		b.WriteString(" |\n")
	}
	fmt.Fprintf(&b, "\n%s\n", m.missed())
	userspace, process := m[alone], m[ofPlugin]
	fmt.Fprintf(&b, "\n| where | ADD | DEL |\n|---|---:|---:|\n| a cell alone, on OVS's userspace datapath | %.1f / %.1f | %.1f / %.1f |\n| in the lab, emulated, on the kernel's datapath | %.0f / %.0f | %.0f / %.0f |\n",
		userspace["add-p50-ms"], userspace["add-p99-ms"], userspace["del-p50-ms"], userspace["del-p99-ms"],
		inTheLab.AddP50, inTheLab.AddP99, inTheLab.DelP50, inTheLab.DelP99)
	fmt.Fprintf(&b, "\n`weft-cni` is a program of %.1f MB; an ADD takes %.1f MB of memory at most (VmHWM).\n", process["binary-MB"], process["rss-MB"])
	return b.String()
}
