package scene

// Size says how large a cluster is. One of its cells is the one that is
// measured, cell 0; the others are there to be many.
type Size struct {
	Name       string `json:"name"`
	Apps       int    `json:"apps"`
	Containers int    `json:"containers"` // of all cells; at least one for each app
	Cells      int    `json:"cells"`      // with the measured one
	Local      int    `json:"local"`      // containers on the measured cell; without other cells, all of them
	Policies   int    `json:"policies"`   // distinct, so at most ports for each pair of apps
}

// The sizes at which OVN was measured, too.
var (
	S  = Size{Name: "S", Apps: 10, Containers: 100, Cells: 5, Local: 20, Policies: 50}
	M  = Size{Name: "M", Apps: 100, Containers: 1_000, Cells: 10, Local: 100, Policies: 1_000}
	L  = Size{Name: "L", Apps: 1_000, Containers: 10_000, Cells: 100, Local: 100, Policies: 10_000}
	XL = Size{Name: "XL", Apps: 1_000, Containers: 20_000, Cells: 80, Local: 250, Policies: 100_000}
)

// Sizes are these, the smallest first.
var Sizes = []Size{S, M, L, XL}

// What a cell of a fleet has, and how many apps a fleet has at most: the group
// ids of a cluster end at 65,535.
const (
	fleetPerCell     = 100
	fleetAppsPerCell = 20
	fleetApps        = 20_000
	fleetPerApp      = 3 // policies
)

// Fleet is a cluster of so many cells, at least one, with 100 containers each.
// It has 20 apps for each cell until it has 20,000, and 3 policies for each app:
// 60,000 from 1,000 cells on.
func Fleet(cells int) Size {
	apps := min(fleetAppsPerCell*cells, fleetApps)
	return Size{Name: "fleet", Apps: apps, Containers: fleetPerCell * cells, Cells: cells, Local: fleetPerCell, Policies: fleetPerApp * apps}
}
