package weft

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/bench/scene"
	"github.com/weft-sdn/weft/testbed/solo"
)

func TestMain(m *testing.M) { solo.Main(m) }

// TestSmallScene: a real Weft holds a scene, a policy reaches its switch, and
// all figures are there.
func TestSmallScene(t *testing.T) {
	dir, err := os.MkdirTemp("", "weft") // a test's own is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", solo.Programs(), "github.com/weft-sdn/weft/controller/cmd/weft-controller")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := scene.S.Build()
	w, err := Start(ctx, Options{Programs: solo.Programs(), Dir: dir}, s)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if err := w.Fill(ctx, t.Logf); err != nil {
		t.Fatal(err)
	}
	var f gauge.Figures
	if f.Flows, err = w.Flows(); err != nil || f.Flows < 100 {
		t.Fatalf("%d flows, %v", f.Flows, err)
	}
	p := s.NewPolicies(1)[0]
	if err := w.Add(ctx, p); err != nil {
		t.Fatal(err)
	}
	if more, err := w.Flows(); err != nil || more <= f.Flows {
		t.Errorf("a policy was added, and of %d flows there are %d, %v", f.Flows, more, err)
	}
	if err := w.Remove(ctx, p); err != nil {
		t.Fatal(err)
	}
	if again, err := w.Flows(); err != nil || again != f.Flows {
		t.Errorf("the policy was removed, and of %d flows there are %d, %v", f.Flows, again, err)
	}
	few := gauge.Bounds{Least: 3, Most: 3}
	if err := f.Policies(ctx, w, s.NewPolicies(6), few); err != nil {
		t.Fatal(err)
	}
	if err := w.RemoteContainers(ctx, &f, few); err != nil {
		t.Fatal(err)
	}
	if f.RemoteFlows != 0 || f.RemoteBytes != 0 {
		t.Errorf("a container on another cell costs this one %v flows and %v bytes", f.RemoteFlows, f.RemoteBytes)
	}
	if err := f.Restarts(ctx, w.Bridge(), few, w.Restart); err != nil {
		t.Fatal(err)
	}
	if err := w.NewCells(ctx, &f, few); err != nil {
		t.Fatal(err)
	}
	if f.PolicyAdd.N != 3 || f.RemoteAdd.N != 3 || f.Restart.N != 3 || f.NewCell.N != 3 || f.Memory["weft-agent"].RSS < 1 {
		t.Errorf("%+v", f)
	}
	if f.RestartLowest != f.Flows {
		t.Errorf("of %d flows there were %d during a restart", f.Flows, f.RestartLowest)
	}
	heard, err := w.heard()
	if err != nil || heard == 0 {
		t.Errorf("the agent has heard %d bytes, %v", heard, err)
	}
	t.Logf("%+v", f)
}
