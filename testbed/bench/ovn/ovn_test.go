package ovn

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/bench/scene"
)

// TestSmallScene: a real OVN holds a scene, a policy reaches its switch, and all
// figures are there.
func TestSmallScene(t *testing.T) {
	dir, err := os.MkdirTemp("", "ovn") // a test's own is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := scene.S.Build()
	o, err := Start(ctx, dir, s)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Stop()
	var f gauge.Figures
	if f.NewCell, err = o.Fill(ctx, t.Logf); err != nil {
		t.Fatal(err)
	}
	flows, err := o.Flows()
	if err != nil || flows < 1000 {
		t.Fatalf("%d flows, %v", flows, err)
	}
	p := s.NewPolicies(1)[0]
	if err := o.Add(ctx, p); err != nil {
		t.Fatal(err)
	}
	more, err := o.Flows()
	if err != nil || more <= flows {
		t.Errorf("a policy was added, and of %d flows there are %d, %v", flows, more, err)
	}
	if err := o.Remove(ctx, p); err != nil {
		t.Fatal(err)
	}
	if again, err := o.Flows(); err != nil || again != flows {
		t.Errorf("the policy was removed, and of %d flows there are %d, %v", flows, again, err)
	}
	few := gauge.Bounds{Least: 2, Most: 2}
	if err := f.Policies(ctx, o, s.NewPolicies(6), few); err != nil {
		t.Fatal(err)
	}
	if err := o.RemoteContainers(ctx, &f, few); err != nil {
		t.Fatal(err)
	}
	if err := f.Restarts(ctx, o.Bridge(), few, o.Restart); err != nil {
		t.Fatal(err)
	}
	if f.PolicyAdd.N != 2 || f.RemoteAdd.N != 2 || f.RemoteFlows < 1 || f.Restart.N != 2 || f.RestartLowest == 0 || f.Memory["ovn-controller"].RSS < 1 {
		t.Errorf("%+v", f)
	}
	t.Logf("%+v", f)
}
