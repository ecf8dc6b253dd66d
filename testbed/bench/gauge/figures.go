package gauge

import "time"

// Figures are what was measured of one system with one scene. What was not
// measured is the zero value.
type Figures struct {
	System   string    `json:"system"`   // with its version
	Database string    `json:"database"` // where it keeps what it is told
	Run      time.Time `json:"run"`      // when the run began in which it was measured
	SetupS   float64   `json:"setup_s"`  // seconds until the cell had the whole scene

	PolicyAdd Spread             `json:"policy_add"`
	PolicyDel Spread             `json:"policy_del"`
	CPU       map[string]float64 `json:"cpu_ms_per_change,omitempty"` // by program

	Flows  int               `json:"flows"`            // on the cell
	Memory map[string]Memory `json:"memory,omitempty"` // by program, after the policy changes

	RemoteAdd   Spread  `json:"remote_add"`
	RemoteFlows float64 `json:"remote_flows"` // that change on the cell for each
	RemoteBytes float64 `json:"remote_bytes"` // to the cell for each, the median

	Restart       Spread `json:"restart"`
	RestartLowest int    `json:"restart_lowest_flows"` // at any moment of the restarts that were watched
	NewCell       Spread `json:"new_cell"`
}

// CPUPerChange is the CPU time of all programs for one policy change, in ms.
func (f Figures) CPUPerChange() float64 {
	sum := 0.0
	for _, ms := range f.CPU {
		sum += ms
	}
	return sum
}

// Changes are both kinds of policy changes: as many, with the larger of each
// percentile.
func (f Figures) Changes() Spread {
	a, b := f.PolicyAdd, f.PolicyDel
	return Spread{N: a.N + b.N, P50: max(a.P50, b.P50), P99: max(a.P99, b.P99), Min: min(a.Min, b.Min), Max: max(a.Max, b.Max)}
}
