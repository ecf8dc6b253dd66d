package crash

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sync/errgroup"

	"github.com/weft-sdn/weft/testbed/solo"
)

// storm is for how long TestStorm goes on: at least once through all containers.
var storm = flag.Duration("storm", 0, "for how long containers come and go, with everything else dying as well; 0: once, and only the agent dies")

const (
	containers = 200
	workers    = 20

	// addressRest is longer than a DEL takes to end once it has given an address
	// back, and shorter than it takes to go round the lease.
	addressRest = 5 * time.Second

	startLimit = time.Minute // for one container, however often its ADD is to be tried again
)

// apps and who may connect to whom. Nobody may to grey, and grey to nobody.
var (
	apps    = []string{"red", "green", "blue", "grey"}
	allowed = map[[2]string]bool{{"red", "green"}: true, {"green", "blue"}: true, {"blue", "blue"}: true}
)

// weather is what TestStorm knows of its containers.
type weather struct {
	*solo.Cell
	random  *rand.Rand
	strikes int

	mu      sync.Mutex
	holders map[string]string // address -> container, until its DEL has ended
	retries int
}

// TestStorm: 200 containers come and go by the hands of 20 workers while the agent
// is killed again and again. No address is two containers', nothing is left of
// those that are gone, and those that stay reach whom they may and nobody else.
func TestStorm(t *testing.T) {
	c := solo.Start(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := &weather{Cell: c, random: rand.New(rand.NewPCG(seed, 0)), holders: map[string]string{}}
	for pair := range allowed {
		c.Allow(pair[0], pair[1])
	}
	c.Rest(addressRest)
	before := c.Traces()
	all := w.containers()
	end := time.Now().Add(*storm)
	for round := 0; round == 0 || time.Now().Before(end); round++ {
		running := w.comeAndGo(all)
		w.holdsOnly(running)
		w.reach(running)
		w.Logf("round %d: %d stay; somebody was killed %d times, and %d ADDs had to be tried again", round, len(running), w.strikes, w.retries)
		if err := inParallel(running, w.stop); err != nil {
			t.Fatal(err)
		}
		c.InStep()
		c.Clean(before)
	}
	if w.strikes == 0 {
		t.Error("there was no storm: nobody was killed")
	}
}

// containers are made, not attached. Every other asks for all that there is, on a
// host port of its own.
func (w *weather) containers() (all []*solo.Container) {
	for i := range containers {
		x := w.Container(fmt.Sprintf("storm-%d", i), apps[i%len(apps)])
		if i/len(apps)%2 == 0 {
			x.Keys["runtimeConfig"] = belongings(61000 + i)
		}
		all = append(all, x)
	}
	return all
}

// comeAndGo has every container started, most of them stopped, some of these
// started and stopped once more, so that the lease is gone round, and returns
// those that run.
func (w *weather) comeAndGo(all []*solo.Container) (running []*solo.Container) {
	stays, again := make(map[*solo.Container]bool, len(all)), make(map[*solo.Container]bool, len(all))
	for _, x := range all {
		stays[x], again[x] = w.random.IntN(3) == 0, w.random.IntN(2) == 0
	}
	done := make(chan error, 1)
	go func() {
		done <- inParallel(all, func(x *solo.Container) error {
			err := w.start(x)
			if err == nil && !stays[x] {
				err = w.stop(x)
			}
			if err == nil && !stays[x] && again[x] {
				err = errors.Join(w.start(x), w.stop(x))
			}
			return err
		})
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				w.Fatal(err)
			}
			return slices.DeleteFunc(slices.Clone(all), func(x *solo.Container) bool { return !stays[x] })
		case <-time.After(time.Duration(300+w.random.IntN(1200)) * time.Millisecond):
			w.strike()
		}
	}
}

// strike kills and starts somebody.
func (w *weather) strike() {
	w.strikes++
	victim := 0
	if *storm > 0 {
		victim = w.random.IntN(10)
	}
	switch victim {
	case 8:
		w.Switch.KillServer()
		w.Switch.StartServer()
	case 9:
		restartVswitchd(w.Cell)
	default:
		w.KillAgent()
		w.StartAgent()
	}
}

// start plugs a container in. A runtime tries again when it is told to.
func (w *weather) start(x *solo.Container) error {
	for limit := time.Now().Add(startLimit); ; time.Sleep(50 * time.Millisecond) {
		err := x.Add()
		var said *types.Error
		if errors.As(err, &said) && said.Code == types.ErrTryAgainLater && time.Now().Before(limit) {
			w.mu.Lock()
			w.retries++
			w.mu.Unlock()
			if err := w.unplug(x); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("ADD %s: %w", x.ID, err)
		}
		break
	}
	w.mu.Lock()
	holder := w.holders[x.IP()]
	w.holders[x.IP()] = x.ID
	w.mu.Unlock()
	if holder != "" {
		return fmt.Errorf("%s was given to %s while %s had it", x.IP(), x.ID, holder)
	}
	return x.Serve()
}

// stop unplugs a container that was started. It holds its address until DEL has
// ended: so long, and while the address rests, nobody else may get it.
func (w *weather) stop(x *solo.Container) error {
	x.Unserve()
	if err := w.unplug(x); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.holders, x.IP())
	return nil
}

// unplug calls DEL until it succeeds, as runtimes do.
func (w *weather) unplug(x *solo.Container) error {
	var err error
	for range 100 {
		if err = x.Del(); err == nil {
			return nil
		}
		var said *types.Error
		if !errors.As(err, &said) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("DEL %s: %w", x.ID, err)
}

// holdsOnly fails the test unless the controller knows exactly those that run,
// and each is whole.
func (w *weather) holdsOnly(running []*solo.Container) {
	w.Helper()
	var want, got []string
	for _, x := range running {
		want = append(want, x.ID+" "+x.IP())
	}
	slices.Sort(want)
	defer func() {
		if !slices.Equal(got, want) {
			w.Logf("the controller knows\n%s\nand these run\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}()
	w.InStep()
	w.Eventually("the controller knows those that run", func() bool {
		endpoints, err := w.Client.Endpoints(w.Context())
		w.Must(err)
		got = got[:0]
		for _, ep := range endpoints {
			got = append(got, ep.Container+" "+ep.IP)
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	})
	if err := inParallel(running, (*solo.Container).Check); err != nil {
		w.Error(err)
	}
}

// reach has each container connect to some that it may connect to, and some that
// it may not.
func (w *weather) reach(running []*solo.Container) {
	w.Helper()
	const each = 3
	type attempt struct{ from, to *solo.Container }
	var attempts []attempt
	for _, from := range running {
		tried := map[bool]int{}
		for _, i := range w.random.Perm(len(running)) {
			to := running[i]
			may := allowed[[2]string{app(from), app(to)}]
			if to != from && tried[may] < each {
				attempts = append(attempts, attempt{from, to})
				tried[may]++
			}
		}
	}
	err := inParallel(attempts, func(a attempt) error {
		if allowed[[2]string{app(a.from), app(a.to)}] {
			if id, err := a.from.Dial(a.to, solo.Patient); err != nil || id != a.to.ID {
				return fmt.Errorf("%s of %s may connect to %s of %s: %q, %v", a.from.ID, app(a.from), a.to.ID, app(a.to), id, err)
			}
			return nil
		}
		if id, err := a.from.Dial(a.to, solo.Impatient); err == nil {
			return fmt.Errorf("%s of %s must not connect to %s of %s, and reached %q", a.from.ID, app(a.from), a.to.ID, app(a.to), id)
		}
		return nil
	})
	if err != nil {
		w.Error(err)
	}
}

func app(x *solo.Container) string { return x.Keys["app"].(string) }

// inParallel has workers do something with each, and returns all errors.
func inParallel[T any](all []T, do func(T) error) error {
	var mu sync.Mutex
	var faults []string
	var group errgroup.Group
	group.SetLimit(workers)
	for _, x := range all {
		group.Go(func() error {
			if err := do(x); err != nil {
				mu.Lock()
				defer mu.Unlock()
				faults = append(faults, err.Error())
			}
			return nil
		})
	}
	_ = group.Wait() // who fails does not stop the others
	if len(faults) > 0 {
		return fmt.Errorf("%d failed: %s", len(faults), strings.Join(faults[:min(len(faults), 10)], "\n"))
	}
	return nil
}
