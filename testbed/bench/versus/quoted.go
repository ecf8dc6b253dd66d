package versus

import "github.com/weft-sdn/weft/testbed/bench/gauge"

// newest is the newest OVN that was ever measured with these scenes. It is not
// in Debian, and building it takes longer than the whole comparison, so its
// figures are quoted.
const newest = "OVN 26.03.2"

// howQuoted says how.
const howQuoted = "Its figures were measured once, in November 2026, with the method and the sizes of this page, alone on a machine of the same kind (2 virtual CPUs, AMD EPYC, 24 GB, Debian 12): " +
	"OVN 26.03.2 built from its sources (-O2), driving Debian's Open vSwitch 3.1.0; its scenes were drawn with another random seed. Each time is the median of 21 to 50 samples, of restarts of 3 to 5."

// quoted are its figures by scene.
var quoted = map[string]gauge.Figures{
	"S": {
		PolicyAdd: gauge.Spread{N: 50, P50: 5.93, P99: 7.61}, PolicyDel: gauge.Spread{N: 50, P50: 5.36, P99: 8.51},
		CPU: map[string]float64{"all": 8}, Flows: 2338, Memory: memory(13.7, 10.8+11+16),
		RemoteAdd: gauge.Spread{N: 30, P50: 8.5, P99: 10.6}, Restart: gauge.Spread{N: 5, P50: 93, P99: 105}, RestartLowest: 2338, NewCell: gauge.Spread{N: 1, P50: 100},
	},
	"M": {
		PolicyAdd: gauge.Spread{N: 50, P50: 17.5, P99: 21.2}, PolicyDel: gauge.Spread{N: 50, P50: 15.6, P99: 21},
		CPU: map[string]float64{"all": 20}, Flows: 23059, Memory: memory(64.2, 44.6+18.9+65.7),
		RemoteAdd: gauge.Spread{N: 30, P50: 18.5, P99: 21}, Restart: gauge.Spread{N: 5, P50: 791, P99: 890}, RestartLowest: 23059, NewCell: gauge.Spread{N: 1, P50: 950},
	},
	"L": {
		PolicyAdd: gauge.Spread{N: 50, P50: 126, P99: 169}, PolicyDel: gauge.Spread{N: 50, P50: 115, P99: 139},
		CPU: map[string]float64{"all": 123}, Flows: 82533, Memory: memory(383, 377+99+525),
		RemoteAdd: gauge.Spread{N: 30, P50: 128, P99: 167}, Restart: gauge.Spread{N: 5, P50: 8100, P99: 8631}, RestartLowest: 82533, NewCell: gauge.Spread{N: 1, P50: 7460},
	},
	"XL": {
		PolicyAdd: gauge.Spread{N: 21, P50: 889, P99: 1367}, PolicyDel: gauge.Spread{N: 21, P50: 905, P99: 1350},
		CPU: map[string]float64{"all": 962}, Flows: 1048891, Memory: memory(2198, 1456+418+1941),
		RemoteAdd: gauge.Spread{N: 30, P50: 403, P99: 514}, Restart: gauge.Spread{N: 3, P50: 63190, P99: 73670}, RestartLowest: 1048891, NewCell: gauge.Spread{N: 1, P50: 76290},
	},
}

// memory is that of ovn-controller, and of what runs once for all cells.
func memory(agent, central float64) map[string]gauge.Memory {
	return map[string]gauge.Memory{"ovn-controller": {RSS: agent}, "ovn-northd": {RSS: central}}
}
