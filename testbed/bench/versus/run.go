package versus

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/weft-sdn/weft/testbed/bench"
	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/bench/ovn"
	"github.com/weft-sdn/weft/testbed/bench/scene"
	"github.com/weft-sdn/weft/testbed/bench/weft"
	"github.com/weft-sdn/weft/testbed/mariadb"
)

// Options say what to compare, and with what.
type Options struct {
	Programs string // folder of weft-controller and weft-agent
	Scenes   []string
	Now      time.Time
	Say      func(format string, args ...any)
}

// always is the scene that is measured of Weft in every run, and of OVN on
// request: that takes OVN a quarter of an hour.
var always = scene.XL

// main is the scene that most figures are of, and the one that is measured on
// MariaDB too.
var main = scene.L

// Scene is what was measured with one scene. What was not is nil.
type Scene struct {
	scene.Size
	Machine string         `json:"machine"`
	OVN     *gauge.Figures `json:"ovn,omitempty"`
	Weft    *gauge.Figures `json:"weft,omitempty"`
	MariaDB *gauge.Figures `json:"weft_on_mariadb,omitempty"`
}

// sizes are the scenes that were asked for, each once and smallest first.
func (o Options) sizes() ([]scene.Size, error) {
	asked := map[string]bool{}
	for _, name := range o.Scenes {
		asked[name] = true
	}
	var sizes []scene.Size
	for _, s := range scene.Sizes {
		if asked[s.Name] {
			sizes = append(sizes, s)
		}
		delete(asked, s.Name)
	}
	for name := range asked {
		return nil, fmt.Errorf("scene %q: there are S, M, L and XL", name)
	}
	return sizes, nil
}

// Run measures the scenes that were asked for in both systems, and the largest
// in Weft. It must be in a network namespace of its own, with loopback up.
func Run(ctx context.Context, o Options) ([]Scene, error) {
	sizes, err := o.sizes()
	if err != nil {
		return nil, err
	}
	var all []Scene
	for _, size := range sizes {
		s, err := o.measure(ctx, size, o.ovn, o.weft)
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	if len(sizes) == 0 || sizes[len(sizes)-1] != always {
		s, err := o.measure(ctx, always, o.weft)
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	return all, nil
}

// measure has each of these measure one scene.
func (o Options) measure(ctx context.Context, size scene.Size, with ...func(context.Context, *Scene, scene.Scene) error) (Scene, error) {
	out := Scene{Size: size, Machine: bench.Machine()}
	o.Say("scene %s: %d apps, %d containers on %d cells, %d of them on the measured one, %d policies",
		size.Name, size.Apps, size.Containers, size.Cells, size.Local, size.Policies)
	built := size.Build()
	for _, measure := range with {
		if err := measure(ctx, &out, built); err != nil {
			return out, fmt.Errorf("scene %s: %w", size.Name, err)
		}
	}
	return out, nil
}

// How often is measured: what takes OVN a second, or many, has a budget.
var (
	policySamples  = gauge.Bounds{Least: 5, Most: 200, Budget: 40 * time.Second}
	remoteSamples  = gauge.Bounds{Least: 5, Most: 30, Budget: 20 * time.Second}
	restartSamples = gauge.Bounds{Least: 2, Most: 5, Budget: 20 * time.Second}
	newCellSamples = gauge.Bounds{Least: 3, Most: 3}
)

// newPolicies are those that are added and removed again.
func newPolicies(s scene.Scene) []scene.Policy { return s.NewPolicies(policySamples.Most + 10) }

func (o Options) ovn(ctx context.Context, out *Scene, s scene.Scene) error {
	return inFolder("ovn", func(dir string) error {
		version, err := ovn.Version(ctx)
		if err != nil {
			return err
		}
		f := &gauge.Figures{System: "OVN " + version, Database: "ovsdb-server", Run: o.Now}
		begin := time.Now()
		running, err := ovn.Start(ctx, dir, s)
		if err != nil {
			return err
		}
		defer running.Stop()
		if f.NewCell, err = running.Fill(ctx, o.Say); err != nil {
			return err
		}
		f.SetupS = time.Since(begin).Seconds()
		if f.Flows, err = running.Flows(); err != nil {
			return err
		}
		if err := f.Policies(ctx, running, newPolicies(s), policySamples); err != nil {
			return err
		}
		o.Say("%s: policy added %v", f.System, f.PolicyAdd)
		if err := running.RemoteContainers(ctx, f, remoteSamples); err != nil {
			return err
		}
		o.Say("%s: container on another cell %v", f.System, f.RemoteAdd)
		if err := f.Restarts(ctx, running.Bridge(), restartSamples, running.Restart); err != nil {
			return err
		}
		o.Say("%s: restart %v", f.System, f.Restart)
		out.OVN = f
		return nil
	})
}

// weft measures Weft on SQLite and, the main scene, on MariaDB too.
func (o Options) weft(ctx context.Context, out *Scene, s scene.Scene) error {
	var err error
	if out.Weft, err = o.weftOn(ctx, "", s); err != nil || s.Size != main {
		return err
	}
	server, err := mariadb.Start()
	if err != nil {
		return err
	}
	defer server.Remove()
	if err := server.Exec("", "CREATE DATABASE weft"); err != nil {
		return err
	}
	out.MariaDB, err = o.weftOn(ctx, server.TCP("weft"), s)
	return err
}

func (o Options) weftOn(ctx context.Context, database string, s scene.Scene) (*gauge.Figures, error) {
	f := &gauge.Figures{System: "Weft", Database: "SQLite", Run: o.Now}
	if database != "" {
		f.Database = "MariaDB"
	}
	return f, inFolder("weft", func(dir string) error {
		begin := time.Now()
		running, err := weft.Start(ctx, weft.Options{Programs: o.Programs, Dir: dir, Database: database}, s)
		if err != nil {
			return err
		}
		defer running.Stop()
		if err := running.Fill(ctx, o.Say); err != nil {
			return err
		}
		f.SetupS = time.Since(begin).Seconds()
		if f.Flows, err = running.Flows(); err != nil {
			return err
		}
		if err := f.Policies(ctx, running, newPolicies(s), policySamples); err != nil {
			return err
		}
		o.Say("Weft on %s: policy added %v", f.Database, f.PolicyAdd)
		if database != "" {
			return nil // the rest has nothing to do with it
		}
		if err := running.RemoteContainers(ctx, f, remoteSamples); err != nil {
			return err
		}
		o.Say("Weft: container on another cell %v", f.RemoteAdd)
		if err := f.Restarts(ctx, running.Bridge(), restartSamples, running.Restart); err != nil {
			return err
		}
		o.Say("Weft: restart %v", f.Restart)
		if err := running.NewCells(ctx, f, newCellSamples); err != nil {
			return err
		}
		o.Say("Weft: new cell %v", f.NewCell)
		return nil
	})
}

// inFolder calls use with an empty folder, whose path is short enough for
// sockets in it, and removes it afterwards.
func inFolder(name string, use func(dir string) error) error {
	dir, err := os.MkdirTemp("", name)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return use(dir)
}
