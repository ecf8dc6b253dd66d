package cellagent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weft-sdn/weft/cellagent/hostnet"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// reason is why a container cannot be connected. The zero value: nothing is
// against it.
type reason struct {
	text   string // for people
	passes bool   // it may be over by itself: whoever starts the container may try again
}

func final(text string) reason   { return reason{text: text} }
func passing(text string) reason { return reason{text, text != ""} }

// offlineGrace is how long a container's start waits for an absent controller
// before it is told so: a restart of the controller must not fail one.
const offlineGrace = 5 * time.Second

// confirm marks each port ready once the switch holds its endpoint's flows and
// its port mappings are open, or says why it is not. It writes only what
// differs.
func (a *Agent) confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	var faults []error
	fail := func(p ovsdb.Port, why reason) {
		if have := (reason{p.Error, p.Passes}); have != why {
			a.log.Warn("endpoint failed", "port", p.Name, "container", p.Container, "reason", why.text, "passes", why.passes)
			faults = append(faults, ignoreGone(a.say(ctx, p.Name, why)))
		}
	}
	maps.DeleteFunc(a.waitsSince, func(container string, _ time.Time) bool { return a.seen.endpoints[container].Name == "" })
	for _, p := range a.ports {
		if why := a.seen.rejected[p.Name]; why != (reason{}) {
			fail(p, why)
			continue
		}
		if a.seen.endpoints[p.Container].Name != p.Name {
			continue
		}
		if f, holds := a.held[flows.EndpointKey(p.Container)]; holds && a.admits(f) && a.want.fragments[f.Key].Hash == f.Hash {
			why, waits := a.awaits(p, f)
			if why != (reason{}) {
				fail(p, why)
			} else if (!p.Ready || p.Error != "") && !waits && p.OFPort != 0 && a.mapped(p) {
				faults = append(faults, ignoreGone(a.db.MarkReady(ctx, p.Name)))
			}
			continue
		}
		if why := a.hopeless(p); why != (reason{}) {
			fail(p, why)
		}
	}
	return errors.Join(faults...)
}

// say tells the plugin why a port is not ready.
func (a *Agent) say(ctx context.Context, port string, why reason) error {
	if why.passes {
		return a.db.MarkDelayed(ctx, port, why.text)
	}
	return a.db.MarkFailed(ctx, port, why.text)
}

// awaits reports whether a container whose flows are in the switch has to wait
// for something else, and why, if that will not come or takes long.
func (a *Agent) awaits(p ovsdb.Port, f flows.Fragment) (why reason, waits bool) {
	if p.Ready {
		delete(a.waitsSince, p.Container)
		return reason{}, false
	}
	if why := a.unmappable(p); why != (reason{}) {
		return why, true
	}
	text := ""
	switch {
	case p.App != "" && groupOf(f) == 0: // all that it sends is nobody's and denied; the id follows its app's first endpoint
		text = fmt.Sprintf("the controller has given app %q no group id yet: `weft groups` shows how many are left, its log why", p.App)
	case a.haunted(p):
		text = fmt.Sprintf("the host still leads connections of the last container with address %v to it: %s", p.IP, a.why("conntrack", "host network"))
	default:
		delete(a.waitsSince, p.Container)
		return reason{}, false
	}
	since, known := a.waitsSince[p.Container]
	if !known {
		since = time.Now()
		a.waitsSince[p.Container] = since
	}
	if time.Since(since) < offlineGrace {
		return reason{}, true
	}
	return passing(text), true
}

// haunted reports whether the host still knows the last container with the
// address: a port of the host leads to it, or the tracker remembers its
// connections. Whoever is told that either is gone looks again.
func (a *Agent) haunted(p ovsdb.Port) bool {
	own := mappingsOf(p)
	return a.notices.tracker.clearing(p.IP) || slices.ContainsFunc(a.host.mappings, func(m hostnet.Mapping) bool {
		return m.Container.Addr() == p.IP && !slices.Contains(own, m)
	})
}

// hopeless says why an endpoint that the switch does not hold will not be held
// soon. Ports that were ready before are left alone: their flows are there, or
// will be as soon as the switch is.
func (a *Agent) hopeless(p ovsdb.Port) reason {
	if a.stream != nil {
		if text := a.stream.refused[p.Container]; text != "" {
			return final("the controller refused the endpoint: " + text)
		}
	}
	switch {
	case p.Ready:
		return reason{}
	case a.blocked:
		return passing(a.why("apply"))
	}
	return passing(a.closure(time.Now()).reason) // its start was under way when that came
}

// why is the first of these faults, for people.
func (a *Agent) why(whats ...string) string {
	for _, what := range whats {
		if f := a.faults[what]; f != nil {
			return f.Text
		}
	}
	return "no answer yet"
}
