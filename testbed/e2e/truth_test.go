package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed"
)

// world is a truth table's subject: what runs where, and what policy says.
// Everything else is to be refused.
type world struct {
	containers map[string][3]int // by app: how many on each cell
	policies   []string          // "app -> app tcp/8080" or "udp/8080-8081"
	probes     []string          // each on every ordered pair of containers
}

// Four apps with two instances on each of three cells: so that of every pair
// of apps, and of the instances of each, there are pairs on one cell and pairs
// across cells.
var fourApps = world{
	containers: map[string][3]int{"front": {2, 2, 2}, "back": {2, 2, 2}, "db": {2, 2, 2}, "cron": {2, 2, 2}},
	policies: []string{
		"front -> back tcp/8080",
		"front -> back tcp/8080-8081", // overlaps the first
		"back -> front udp/8080",      // the other way, but not on tcp
		"back -> db tcp/8080",
		"back -> db udp/8080-8081",
		"back -> back tcp/8081", // its own instances
		"cron -> cron udp/8081",
		"cron -> db tcp/8081",
	},
	probes: []string{"tcp/8080", "tcp/8081", "udp/8080", "udp/8081"},
}

// What every pair of containers experiences is what policy says, on tcp and on
// udp, on one cell and across cells: connected or refused, nothing in between.
func TestTruthTable(t *testing.T) { fourApps.holds(t) }

// The same of a world that is different on every run. WEFT_SEED repeats one.
func TestTruthTableOfARandomWorld(t *testing.T) {
	seed := uint64(time.Now().UnixNano()) % 1e9
	if text := os.Getenv("WEFT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("WEFT_SEED: %v", err)
		}
	}
	w := randomWorld(rand.New(rand.NewPCG(seed, 0)))
	fmt.Fprintf(os.Stderr, "random world: WEFT_SEED=%d, %v, policies %s\n", seed, w.containers, strings.Join(w.policies, ", "))
	w.holds(t)
}

func randomWorld(r *rand.Rand) world {
	w := world{containers: map[string][3]int{}}
	apps := []string{"a", "b", "c", "d", "e"}[:4+r.IntN(2)]
	for _, app := range apps {
		w.containers[app] = [3]int{r.IntN(2), r.IntN(2), r.IntN(2)}
		here := w.containers[app]
		here[r.IntN(3)]++
		w.containers[app] = here
	}
	first := 1 + r.IntN(65533)
	for port := first; port < first+3; port++ {
		w.probes = append(w.probes, fmt.Sprintf("tcp/%d", port), fmt.Sprintf("udp/%d", port))
	}
	for range 4 + r.IntN(8) {
		protocol := []string{"tcp", "udp"}[r.IntN(2)]
		start := first + r.IntN(3)
		end := min(start+[]int{0, 0, 1, 100, 65535}[r.IntN(5)], 65535)
		w.policies = append(w.policies, fmt.Sprintf("%s -> %s %s/%d-%d", apps[r.IntN(len(apps))], apps[r.IntN(len(apps))], protocol, start, end))
	}
	slices.Sort(w.policies)
	w.policies = slices.Compact(w.policies)
	return w
}

// holds builds the world and tries everything.
func (w world) holds(t *testing.T) {
	t.Helper()
	bed := bed(t)
	byApp := w.run(t, bed)
	var all []*testbed.Container
	for _, c := range byApp {
		all = append(all, c...)
	}
	slices.SortFunc(all, func(a, b *testbed.Container) int { return strings.Compare(a.ID, b.ID) })
	var batch []testbed.Policy
	for _, line := range w.policies {
		from, to, what := parsePolicy(t, line)
		batch = append(batch, testbed.Policy{From: byApp[from][0].App, To: byApp[to][0].App, What: what})
	}
	bed.AllowAll(batch)
	start := time.Now()
	truth := bed.TruthTable(w.probes, all, func(from, to *testbed.Container, what string) bool {
		return slices.ContainsFunc(w.policies, func(line string) bool {
			policyFrom, policyTo, opened := parsePolicy(t, line)
			return byApp[policyFrom][0].App == from.App && byApp[policyTo][0].App == to.App && covers(t, opened, what)
		})
	})
	fmt.Fprintf(os.Stderr, "%s: %d containers, %v; probed in %.1f s\n", t.Name(), len(all), truth, time.Since(start).Seconds())
	if truth.Connected == 0 || truth.Refused == 0 {
		t.Errorf("a world in which nothing is allowed or nothing is denied proves little: %v", truth)
	}
}

func (w world) run(t *testing.T, bed *testbed.Bed) map[string][]*testbed.Container {
	t.Helper()
	type place struct {
		app  string
		cell int
	}
	var places []place
	for app, cells := range w.containers {
		for cell, n := range cells {
			places = append(places, slices.Repeat([]place{{app, cell + 1}}, n)...)
		}
	}
	started, errs := make([]*testbed.Container, len(places)), make([]error, len(places))
	slots := make(chan struct{}, 6) // more at once only wait for each other, until one's time is up
	atOnce(len(places), func(i int) {
		slots <- struct{}{}
		defer func() { <-slots }()
		started[i], errs[i] = bed.Cell(places[i].cell).Try(places[i].app)
	})
	byApp := map[string][]*testbed.Container{}
	for i, p := range places {
		if errs[i] != nil {
			t.Fatalf("run %s on cell-%d: %v", p.app, p.cell, errs[i])
		}
		byApp[p.app] = append(byApp[p.app], started[i])
	}
	return byApp
}

// parsePolicy reads "front -> back tcp/8080".
func parsePolicy(t *testing.T, line string) (from, to, what string) {
	t.Helper()
	words := strings.Fields(line)
	if len(words) != 4 || words[1] != "->" {
		t.Fatalf("policy %q: want FROM -> TO PROTOCOL/PORTS", line)
	}
	return words[0], words[2], words[3]
}

// covers says the plainest way whether a policy's ports hold a probe's.
func covers(t *testing.T, opened, probe string) bool {
	t.Helper()
	protocol, first, last := parsePorts(t, opened)
	probeProtocol, port, _ := parsePorts(t, probe)
	return protocol == probeProtocol && first <= port && port <= last
}

func parsePorts(t *testing.T, text string) (protocol string, first, last int) {
	t.Helper()
	protocol, ports, _ := strings.Cut(text, "/")
	start, end, isRange := strings.Cut(ports, "-")
	if !isRange {
		end = start
	}
	first, err1 := strconv.Atoi(start)
	last, err2 := strconv.Atoi(end)
	if err1 != nil || err2 != nil {
		t.Fatalf("%q: want PROTOCOL/PORT or PROTOCOL/PORT-PORT", text)
	}
	return protocol, first, last
}
