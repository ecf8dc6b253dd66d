package cni

import (
	"encoding/json"
	"fmt"

	"github.com/weft-sdn/weft/ovsdb"
)

// bandwidth is runtimeConfig.bandwidth of the CNI convention, in bits per
// second and bits. Ingress is to the container.
type bandwidth struct {
	IngressRate  int64 `json:"ingressRate"`
	IngressBurst int64 `json:"ingressBurst"`
	EgressRate   int64 `json:"egressRate"`
	EgressBurst  int64 `json:"egressBurst"`
}

// parseBandwidth reads the container's own limits. All zero is none.
func parseBandwidth(path string, raw json.RawMessage) (limits ovsdb.Limits, err error) {
	var b bandwidth
	if err = decode(path, raw, &b); err != nil {
		return limits, err
	}
	const bitsPerKbit = 1000
	in := figures{path + ".ingressRate", path + ".ingressBurst", b.IngressRate, b.IngressBurst, bitsPerKbit}
	if limits.In, err = in.limit(); err != nil {
		return limits, err
	}
	out := figures{path + ".egressRate", path + ".egressBurst", b.EgressRate, b.EgressBurst, bitsPerKbit}
	limits.Out, err = out.limit()
	return limits, err
}

// bothWays is the limit of every container, in kbit.
func bothWays(rate, burst int64) (ovsdb.Limits, error) {
	limit, err := figures{"rate", "burst", rate, burst, 1}.limit()
	return ovsdb.Limits{In: limit, Out: limit}, err
}

// figures are a limit as it was asked for.
type figures struct {
	rateKey, burstKey string
	rate, burst       int64
	perKbit           int64 // of these units in a kbit
}

// limit rounds up to whole kbit: a limit of less than one is still a limit.
func (f figures) limit() (ovsdb.Limit, error) {
	for _, n := range []struct {
		key   string
		value int64
	}{{f.rateKey, f.rate}, {f.burstKey, f.burst}} {
		if n.value < 0 || n.value > ovsdb.MaxLimit*f.perKbit {
			return ovsdb.Limit{}, invalid(n.key, n.value, fmt.Sprintf("must be 0 (no limit) to %d", ovsdb.MaxLimit*f.perKbit))
		}
	}
	switch {
	case f.rate != 0 && f.burst == 0:
		return ovsdb.Limit{}, invalid(f.burstKey, f.burst, fmt.Sprintf("must be set, as %s is", f.rateKey))
	case f.rate == 0 && f.burst != 0:
		return ovsdb.Limit{}, invalid(f.rateKey, f.rate, fmt.Sprintf("must be set, as %s is", f.burstKey))
	}
	kbit := func(n int64) uint32 { return uint32((n + f.perKbit - 1) / f.perKbit) }
	return ovsdb.Limit{RateKbps: kbit(f.rate), BurstKb: kbit(f.burst)}, nil
}
