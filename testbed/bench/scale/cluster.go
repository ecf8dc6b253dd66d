package scale

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/bench/scene"
	"github.com/weft-sdn/weft/testbed/fleet"
)

const (
	// popular is the app that has a container on each cell, besides the scene's.
	popular = "popular"
	// popularSources is how many apps may reach it, at most.
	popularSources = 1000
	// freshPort is the first port of policies that the scene does not have.
	freshPort = 20_000
)

// cluster is a scene, and who hosts what.
type cluster struct {
	scene.Scene
	hosts [][]int // cells, by app; a cell once for each container
}

func newCluster(cells int) *cluster {
	c := &cluster{Scene: scene.Fleet(cells).Build()}
	c.hosts = make([][]int, len(c.Apps))
	for _, container := range c.Containers {
		c.hosts[container.App] = append(c.hosts[container.App], container.Cell)
	}
	return c
}

// vtep is the address of a cell's tunnel end.
func vtep(cell int) netip.Addr {
	cell++
	return netip.AddrFrom4([4]byte{172, byte(16 + cell>>16), byte(cell >> 8), byte(cell)})
}

// certify makes the certificates of controller and cells.
func (c *cluster) certify(dir string) error {
	request := pki.Request{Dir: dir, ControllerNames: []string{"127.0.0.1"}, Now: time.Now()}
	for cell := range c.Cells {
		request.Cells = append(request.Cells, pki.Cell{ID: flows.CellID(scene.CellID(cell)), Underlay: vtep(cell)})
	}
	_, err := pki.Init(request)
	return err
}

// cells are those of the scene, each with a container of the popular app as well.
func (c *cluster) cells() []fleet.Cell {
	cells := make([]fleet.Cell, c.Cells)
	for i := range cells {
		cells[i] = fleet.Cell{ID: flows.CellID(scene.CellID(i)), VTEP: vtep(i)}
	}
	for _, container := range c.Containers {
		at := &cells[container.Cell]
		at.Containers = append(at.Containers, fleet.Container{ID: container.ID, App: c.Apps[container.App]})
	}
	for i := range cells {
		cells[i].Containers = append(cells[i].Containers, fleet.Container{ID: fmt.Sprintf("%s-%d", popular, i), App: popular})
	}
	return cells
}

// policies are those of the scene.
func (c *cluster) policies() []api.PolicyBody {
	bodies := make([]api.PolicyBody, len(c.Policies))
	for i, p := range c.Policies {
		bodies[i] = policy(c.Apps[p.From], c.Apps[p.To], int(p.Port))
	}
	return bodies
}

// towardPopular lets the first of so many apps reach the popular one.
func (c *cluster) towardPopular() []api.PolicyBody {
	bodies := make([]api.PolicyBody, min(popularSources, len(c.Apps)-1))
	for i := range bodies {
		bodies[i] = policy(c.Apps[i], popular, 8080)
	}
	return bodies
}

// fresh are n policies that the scene does not have, toward apps that have
// containers, but none on the cells to be spared.
func (c *cluster) fresh(n int, spared []int) []api.PolicyBody {
	spare := map[int]bool{}
	for _, cell := range spared {
		spare[cell] = true
	}
	random := rand.New(rand.NewPCG(uint64(n), uint64(len(spared))))
	var bodies []api.PolicyBody
	for len(bodies) < n {
		from, to := random.IntN(len(c.Apps)), random.IntN(len(c.Apps))
		fit := len(c.hosts[to]) > 0
		for _, cell := range c.hosts[to] {
			fit = fit && !spare[cell]
		}
		if fit {
			bodies = append(bodies, policy(c.Apps[from], c.Apps[to], freshPort+len(bodies)))
		}
	}
	return bodies
}

func policy(from, to string, port int) api.PolicyBody {
	return api.PolicyBody{Source: api.Source{ID: from},
		Destination: api.Destination{ID: to, Protocol: scene.Protocol, Ports: api.Ports{Start: port, End: port}}}
}
