package weft

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/bench/scene"
	"github.com/weft-sdn/weft/testbed/daemon"
)

// Options say what to run.
type Options struct {
	Programs string // folder of weft-controller and weft-agent
	Dir      string // an empty folder to work in, with a path of at most 80 bytes
	Database string // of the controller, mysql://…; "" for SQLite in Dir
}

// Weft is a running Weft that holds a scene. It is for one goroutine.
type Weft struct {
	scene      scene.Scene
	dir        string
	programs   string
	sw         *gauge.Switch
	controller *controller
	agent      *daemon.Process
}

// Start runs Weft with one cell and without anything in it. The caller ends it
// with Stop.
func Start(ctx context.Context, o Options, s scene.Scene) (w *Weft, err error) {
	w = &Weft{scene: s, dir: o.Dir, programs: o.Programs}
	defer func() {
		if err != nil {
			w.Stop()
		}
	}()
	if w.controller, err = startController(ctx, filepath.Join(o.Programs, "weft-controller"), o.Dir, o.Database, s.Cells); err != nil {
		return w, err
	}
	if w.sw, err = gauge.StartSwitch(ctx, o.Dir, gauge.DummySystem); err != nil {
		return w, err
	}
	if err := w.configureAgent(); err != nil {
		return w, err
	}
	if err := w.startAgent(); err != nil {
		return w, err
	}
	return w, w.controller.inStep(ctx)
}

// Stop ends everything.
func (w *Weft) Stop() {
	if w.agent != nil {
		w.agent.Kill()
	}
	if w.sw != nil {
		w.sw.Stop()
	}
	if w.controller != nil {
		w.controller.Kill()
	}
}

// policiesAtOnce is how many policies one request adds while the scene is made.
const policiesAtOnce = 600

// Fill tells Weft the scene. It returns when the switch holds everything.
func (w *Weft) Fill(ctx context.Context, say func(format string, args ...any)) error {
	if err := w.plug(ctx); err != nil {
		return fmt.Errorf("the cell's own containers: %w", err)
	}
	say("Weft: the cell's own containers")
	if err := w.others(ctx); err != nil {
		return fmt.Errorf("other cells: %w", err)
	}
	say("Weft: other cells")
	for some := range slices.Chunk(w.scene.Policies, policiesAtOnce) {
		if _, err := w.controller.client.AddPolicies(ctx, w.bodies(some...), api.Wait{}); err != nil {
			return err
		}
	}
	say("Weft: policies")
	if err := w.controller.inStep(ctx); err != nil {
		return err
	}
	say("Weft: weft-agent has filled the switch")
	return nil
}

// bodies are policies as the API has them.
func (w *Weft) bodies(policies ...scene.Policy) []api.PolicyBody {
	bodies := make([]api.PolicyBody, len(policies))
	for i, p := range policies {
		bodies[i] = api.PolicyBody{Source: api.Source{ID: w.scene.Apps[p.From]}, Destination: api.Destination{
			ID: w.scene.Apps[p.To], Protocol: scene.Protocol, Ports: api.Ports{Start: int(p.Port), End: int(p.Port)},
		}}
	}
	return bodies
}

// Processes are those that work on a change.
func (w *Weft) Processes() []gauge.Process {
	return []gauge.Process{
		{Name: "weft-controller", PID: w.controller.PID}, {Name: "weft-agent", PID: w.agent.PID},
		{Name: "ovsdb-server", PID: w.sw.Server.PID}, {Name: "ovs-vswitchd", PID: w.sw.Vswitchd.PID},
	}
}

func (w *Weft) path(name string) string { return filepath.Join(w.dir, name) }
