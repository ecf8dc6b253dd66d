package scene

import (
	"fmt"
	"math/rand/v2"
)

// seed makes every scene the same each time. Another would do as well.
const seed = 42

// Ports of policies: those of a scene, and those of the policies that are added
// to it, which therefore differ.
const (
	firstPort, ports       = 8000, 100
	firstNewPort, newPorts = 9000, 1000
)

// Scene is a cluster. Apps, cells and containers are numbered from 0.
type Scene struct {
	Size
	Apps       []string // their names, of which none is another's beginning
	Containers []Container
	Policies   []Policy // each another
}

// Container is one of a scene's containers.
type Container struct {
	ID    string
	App   int
	Cell  int
	Index int // among the cell's containers
}

// Policy lets one app reach another on a TCP port.
type Policy struct {
	From, To int // apps
	Port     uint16
}

// Protocol is that of every policy.
const Protocol = "tcp"

// CellID is a cell's name.
func CellID(cell int) string { return fmt.Sprintf("cell-%04d", cell) }

// Build makes the scene of a size. Container i belongs to app i % Apps. Which
// containers are on the measured cell is random, as are the policies; the other
// containers are dealt out to the other cells evenly.
func (s Size) Build() Scene {
	out := Scene{Size: s, Apps: make([]string, s.Apps), Containers: make([]Container, s.Containers)}
	for i := range out.Apps {
		out.Apps[i] = fmt.Sprintf("app-%05d", i)
	}
	random := rand.New(rand.NewPCG(seed, uint64(s.Containers)))
	on := make([]int, s.Cells) // how many a cell has
	for nth, i := range random.Perm(s.Containers) {
		cell := 0
		if nth >= s.Local {
			cell = 1 + (nth-s.Local)%(s.Cells-1)
		}
		out.Containers[i] = Container{ID: fmt.Sprintf("container-%06d", i), App: i % s.Apps, Cell: cell, Index: on[cell]}
		on[cell]++
	}
	out.Policies = distinct(s.Policies, func() Policy {
		return Policy{random.IntN(s.Apps), random.IntN(s.Apps), uint16(firstPort + random.IntN(ports))}
	})
	return out
}

// LocalApps are the apps with containers on the measured cell, in order.
func (s Scene) LocalApps() []int {
	is := make([]bool, len(s.Apps))
	for _, c := range s.Containers {
		is[c.App] = is[c.App] || c.Cell == 0
	}
	return numbers(is)
}

// Callers are the apps that a policy lets reach one of these, in order. A
// container more of theirs is one more that the measured cell has to let in.
func (s Scene) Callers() []int {
	local, is := make([]bool, len(s.Apps)), make([]bool, len(s.Apps))
	for _, app := range s.LocalApps() {
		local[app] = true
	}
	for _, p := range s.Policies {
		is[p.From] = is[p.From] || local[p.To]
	}
	return numbers(is)
}

// numbers are those of which it is true.
func numbers(is []bool) []int {
	var all []int
	for n, yes := range is {
		if yes {
			all = append(all, n)
		}
	}
	return all
}

// NewPolicies are n policies, the same each time, that the scene does not have,
// each another: from any app to one that has containers on the measured cell.
func (s Scene) NewPolicies(n int) []Policy {
	local, random := s.LocalApps(), rand.New(rand.NewPCG(seed, 1))
	return distinct(n, func() Policy {
		return Policy{random.IntN(len(s.Apps)), local[random.IntN(len(local))], uint16(firstNewPort + random.IntN(newPorts))}
	})
}

// distinct draws policies until there are n different ones.
func distinct(n int, draw func() Policy) []Policy {
	seen, all := make(map[Policy]bool, n), make([]Policy, 0, n)
	for len(all) < n {
		if p := draw(); !seen[p] {
			seen[p] = true
			all = append(all, p)
		}
	}
	return all
}
