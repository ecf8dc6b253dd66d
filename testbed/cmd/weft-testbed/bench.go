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
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/testbed/bench"
)

// figure is one measured number: a benchmark's metric under the name by which
// programs read it.
type figure struct {
	key       string // in the figures line
	benchmark string // without -GOMAXPROCS
	metric    string // unit as go test prints it
	scale     float64
	what      string // for docs/performance.md
}

var figures = []figure{
	{"compile_us", "BenchmarkCompile", "ns/op", 1e-3, "compile a cell's whole table: 100 endpoints, 1,000 policies, 500 other cells (µs)"},
	{"fragment_us", "BenchmarkFragmentOnePolicy", "ns/op", 1e-3, "the same cell, one policy added: its fragment and the table's hash (µs)"},
	{"fragment_allocs", "BenchmarkFragmentOnePolicy", "allocs/op", 1, "allocations of that"},
	{"delta_apply_ms", "BenchmarkApplyDelta/installed=10000", "ms/delta", 1, "one flow into a real ovs-vswitchd that holds 10,000, atomically, until it has answered (ms)"},
	{"table10k_apply_ms", "BenchmarkApplyTable10k", "ms/table", 1, "10,000 flows into an empty one, atomically (ms)"},
	{"cni_add_p50_ms", "BenchmarkCNI/datapath=dummy", "add-p50-ms", 1, "CNI ADD through libcni, until the container's flows are confirmed by the switch, median of 50 (ms)"},
	{"cni_del_p50_ms", "BenchmarkCNI/datapath=dummy", "del-p50-ms", 1, "CNI DEL, median of 50 (ms); the kernel takes most of it to delete a veth"},
	{"policy_p50_ms", "BenchmarkPolicy", "add-p50-ms", 1, "policy POSTed over REST until the switch has confirmed its flows, median of 200 (ms)"},
	{"policy_p99_ms", "BenchmarkPolicy", "add-p99-ms", 1, "the same, 99th percentile (ms)"},
}

// A benchRun is one go test with its own number of iterations.
type benchRun struct{ pkg, pattern, times string }

var benchRuns = []benchRun{
	{"./flows", "^(BenchmarkCompile|BenchmarkFragmentOnePolicy)$", "1s"},
	{"./cellagent", "^(BenchmarkApplyDelta|BenchmarkApplyTable10k)$", "1s"},
	{"./testbed/bench", "^BenchmarkCNI$/^datapath=dummy$", "50x"},
	{"./testbed/bench", "^BenchmarkPolicy$", "200x"},
}

func benchCommand() *cobra.Command {
	var report string
	c := &cobra.Command{
		Use: "bench", Args: cobra.NoArgs,
		Short: "run the benchmarks; the last line has all figures for programs to read",
		RunE: func(c *cobra.Command, _ []string) error {
			measured, err := measure(c.Context())
			if err != nil {
				return err
			}
			if report != "" {
				if err := writeReport(report, measured); err != nil {
					return err
				}
			}
			var line []string
			for _, f := range figures {
				line = append(line, f.key+"="+measured[f.key])
			}
			fmt.Println("figures: " + strings.Join(line, " "))
			return nil
		},
	}
	c.Flags().StringVar(&report, "report", "", "write the figures to the generated part of this file, such as docs/performance.md")
	return c
}

// measure runs every benchmark and returns the figures as text, by key.
func measure(ctx context.Context) (map[string]string, error) {
	measured := map[string]string{}
	for _, run := range benchRuns {
		fmt.Printf("# go test %s -bench '%s' -benchtime %s\n", run.pkg, run.pattern, run.times)
		cmd := exec.CommandContext(ctx, "go", "test", run.pkg, "-run=^$", "-benchmem", "-bench="+run.pattern, "-benchtime="+run.times)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = io.MultiWriter(os.Stdout, &out), os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("go test %s: %w", run.pkg, err)
		}
		for scanner := bufio.NewScanner(&out); scanner.Scan(); {
			readBenchmark(scanner.Text(), measured)
		}
	}
	for _, f := range figures {
		if measured[f.key] == "" {
			return nil, fmt.Errorf("figure %s: %s printed no %s", f.key, f.benchmark, f.metric)
		}
	}
	return measured, nil
}

// readBenchmark takes the figures out of a line that go test printed: a name,
// the number of iterations, then pairs of value and unit.
func readBenchmark(line string, measured map[string]string) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
		return
	}
	name := strings.TrimSuffix(fields[0], "-"+strconv.Itoa(runtime.GOMAXPROCS(0)))
	for _, f := range figures {
		if f.benchmark != name {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if value, err := strconv.ParseFloat(fields[i], 64); err == nil && fields[i+1] == f.metric {
				measured[f.key] = strconv.FormatFloat(value*f.scale, 'g', 4, 64)
			}
		}
	}
}

// The generated part of the report is between these lines.
const (
	reportBegin = "<!-- figures: written by make bench -->"
	reportEnd   = "<!-- end of figures -->"
)

func writeReport(path string, measured map[string]string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s on %s.\n\n| figure | | what |\n|---|---:|---|\n", time.Now().UTC().Format("2006-01-02"), bench.Machine())
	for _, f := range figures {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.key, measured[f.key], f.what)
	}
	return bench.RewritePart(path, reportBegin, reportEnd, b.String())
}
