package datapath

import (
	_ "embed"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/containernetworking/plugins/pkg/ns"
)

// baseline.sh builds the cells that Weft is compared with. Its flows are the
// reference: nothing there is to be improved for a better or worse figure.
//
//go:embed baseline.sh
var baselineScript string

// buildBaseline makes the reference cells on the testbed's underlay, which
// must be up. Everything it makes ends with the lab.
func buildBaseline(dir string) (pair, error) {
	dir = filepath.Join(dir, "baseline")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return pair{}, err
	}
	if out, err := exec.Command("bash", "-c", baselineScript, "baseline.sh", dir).CombinedOutput(); err != nil {
		return pair{}, fmt.Errorf("build the cells to compare with: %w: %s", err, out)
	}
	p := pair{name: "hand-written"}
	for i, e := range []*end{&p.client, &p.server} {
		app, err := ns.GetNS(fmt.Sprintf("/run/netns/plain-app-%d", i+1))
		if err != nil {
			return pair{}, err
		}
		cell, err := ns.GetNS(fmt.Sprintf("/run/netns/plain-%d", i+1))
		if err != nil {
			return pair{}, err
		}
		e.ip = netip.AddrFrom4([4]byte{10, 254, 0, byte(i + 1)})
		e.in = func(f func() error) error { return app.Do(func(ns.NetNS) error { return f() }) }
		rundir := filepath.Join(dir, fmt.Sprintf("plain-%d", i+1))
		e.switchCommand = func(argv ...string) (text string, err error) {
			err = cell.Do(func(ns.NetNS) error {
				cmd := exec.Command(argv[0], argv[1:]...)
				cmd.Env = append(os.Environ(), "OVS_RUNDIR="+rundir)
				out, err := cmd.CombinedOutput()
				text = string(out)
				return err
			})
			if err != nil {
				return text, fmt.Errorf("%v: %w: %s", argv, err, text)
			}
			return text, nil
		}
	}
	return p, nil
}
