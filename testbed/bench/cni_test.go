package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed/solo"
)

// BenchmarkCNI attaches a container with ADD and detaches it with DEL, as a
// runtime does: libcni starts weft-cni, which returns when the agent has the
// switch's word for the container's flows.
func BenchmarkCNI(b *testing.B) {
	for _, datapath := range []struct {
		name  string
		start func(testing.TB) *solo.Cell
	}{{"dummy", solo.StartDummy}, {"userspace", solo.Start}} {
		b.Run("datapath="+datapath.name, func(b *testing.B) {
			c := datapath.start(b)
			var add, del samples
			for i := 0; b.Loop(); i++ {
				x := c.Container(fmt.Sprintf("container-%d", i), "cats")
				add.time(func() { c.Must(x.Add()) })
				del.time(func() { c.Must(x.Del()) })
				x.End()
			}
			add.report(b, "add", 50, 99)
			del.report(b, "del", 50, 99)
		})
	}
}

// BenchmarkCNIAgainstBridge does the same by turns with the standard plugins
// bridge and host-local, on a cell where so many containers run of each kind, and
// with a bare port of the same bridge.
func BenchmarkCNIAgainstBridge(b *testing.B) {
	for _, n := range []int{0, 50, 250} {
		b.Run(fmt.Sprintf("containers=%d", n), func(b *testing.B) { againstBridge(b, n) })
	}
}

func againstBridge(b *testing.B, n int) {
	c := solo.StartDummy(b)
	standard := newStandard(b)
	for i := range n {
		id := fmt.Sprintf("running-%d", i)
		c.Must(c.Container(id, "cats").Add())
		c.Must(standard.add(c.Container(id+"-standard", "")))
	}
	var add, del, standardAdd, standardDel, bareAdd, bareDel samples
	for i := -warmUp; i < 0 || b.Loop(); i++ {
		if i == 0 {
			add, del, standardAdd, standardDel, bareAdd, bareDel = nil, nil, nil, nil, nil, nil
		}
		x, y, z := c.Container(fmt.Sprintf("ours-%d", i), "cats"), c.Container(fmt.Sprintf("theirs-%d", i), ""), c.Container(fmt.Sprintf("bare-%d", i), "")
		port := newBare(c, i+warmUp)
		turns := []func(){
			func() {
				add.time(func() { c.Must(x.Add()) })
				del.time(func() { c.Must(x.Del()) })
			},
			func() {
				standardAdd.time(func() { c.Must(standard.add(y)) })
				standardDel.time(func() { c.Must(standard.del(y)) })
			},
			func() {
				bareAdd.time(func() { c.Must(port.add(z)) })
				bareDel.time(func() { c.Must(port.del()) })
			},
		}
		for first := range turns {
			turns[(first+i+warmUp)%len(turns)]()
		}
		for _, ended := range []*solo.Container{x, y, z} {
			ended.End()
		}
	}
	for name, of := range map[string]samples{"add": add, "del": del, "standard-add": standardAdd, "standard-del": standardDel, "bare-add": bareAdd, "bare-del": bareDel} {
		of.report(b, name, 50, 99)
	}
}

// warmUp is how many ADDs do not count: files are read for the first time.
const warmUp = 5

// BenchmarkCNIProcess reports the size of weft-cni, and how much memory an ADD
// has taken by the time that it waits for the agent.
func BenchmarkCNIProcess(b *testing.B) {
	c := solo.StartDummy(b)
	c.KillAgent()
	info, err := os.Stat(solo.Programs() + "/weft-cni")
	c.Must(err)
	var peak float64
	for i := 0; b.Loop(); i++ {
		x := c.Container(fmt.Sprintf("container-%d", i), "cats")
		x.Keys["readyTimeout"] = "1s"
		cmd := exec.Command(solo.Programs() + "/weft-cni")
		cmd.Env = append(os.Environ(), "CNI_COMMAND=ADD", "CNI_CONTAINERID="+x.ID, "CNI_IFNAME=eth0", "CNI_NETNS="+x.NS.Path(), "CNI_PATH="+solo.Programs())
		cmd.Stdin = bytes.NewReader(x.Stdin())
		c.Must(cmd.Start())
		time.Sleep(500 * time.Millisecond) // it waits for an agent that does not run
		peak = max(peak, residentPeak(b, cmd.Process.Pid))
		if err := cmd.Wait(); err == nil {
			b.Fatal("ADD succeeded without an agent")
		}
		x.End()
	}
	b.ReportMetric(float64(info.Size())/1e6, "binary-MB")
	b.ReportMetric(peak, "rss-MB")
}

// residentPeak is VmHWM of a process (proc(5)), in MB.
func residentPeak(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		b.Fatalf("no VmHWM: is process %d still there?\n%s", pid, status)
	}
	kib, _ := strconv.ParseFloat(string(found[1]), 64)
	return kib * 1024 / 1e6
}
