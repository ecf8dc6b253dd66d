package gormstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

// The size that the figures of docs/performance.md are for.
const (
	manyApps     = 20_000
	manyPolicies = 60_000
	perRequest   = 600
)

func onEachBench(b *testing.B, bench func(*testing.B, *Store, place)) {
	for name, db := range map[string]func(testing.TB) place{
		"sqlite": func(t testing.TB) place { return sqliteAt(file(t)) }, "mariadb": mariaDB,
	} {
		b.Run(name, func(b *testing.B) {
			at := db(b)
			bench(b, open(b, at, options()), at)
		})
	}
}

// addMany adds policies from number first on, each app the source of three.
func addMany(b *testing.B, s *Store, first, count int) {
	b.Helper()
	policies := make([]api.Policy, count)
	for i := range policies {
		n := first + i
		policies[i] = policy(fmt.Sprintf("app-%d", n/3), fmt.Sprintf("app-%d", (n/3+1+n%3*7)%manyApps), uint16(1+n%60_000))
	}
	do(b, s, controller.AddPolicies{Policies: policies, Order: api.Order{By: "bench"}})
}

// BenchmarkLoad: all policies, in requests of 600; policies per second.
func BenchmarkLoad(b *testing.B) {
	onEachBench(b, func(b *testing.B, s *Store, _ place) {
		for n := 0; b.Loop(); n++ {
			addMany(b, s, n*perRequest, perRequest)
		}
		b.ReportMetric(float64(b.N*perRequest)/b.Elapsed().Seconds(), "policies/s")
	})
}

// BenchmarkCreate: one new policy beside all those, durable; the median.
func BenchmarkCreate(b *testing.B) {
	onEachBench(b, func(b *testing.B, s *Store, _ place) {
		for n := 0; n < manyPolicies; n += perRequest {
			addMany(b, s, n, perRequest)
		}
		var took []time.Duration
		for i := 0; b.Loop(); i++ {
			p := policy(fmt.Sprintf("app-%d", i%manyApps), "sink", uint16(1+i/manyApps))
			began := time.Now()
			do(b, s, controller.AddPolicies{Policies: []api.Policy{p}, Order: api.Order{By: "bench", MaxPerSource: 1000}})
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	})
}

// BenchmarkGroupAmongMany: an id for a new app, with 60,000 in use.
func BenchmarkGroupAmongMany(b *testing.B) {
	onEachBench(b, func(b *testing.B, s *Store, db place) {
		fill(b, db, 1, 60000, 0)
		for i := 0; b.Loop(); i++ {
			do(b, s, controller.AssignGroups{Apps: []flows.AppID{flows.AppID(fmt.Sprintf("new-%d", i))}})
		}
	})
}
