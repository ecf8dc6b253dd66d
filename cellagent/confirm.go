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

// offlineGrace is how long a container's start waits for an absent controller
// before it is told so: a restart of the controller must not fail one.
const offlineGrace = 5 * time.Second

// confirm marks each port ready once the switch holds its endpoint's flows and
// its port mappings are open, or failed with the reason why it never will. It
// writes only what differs.
func (a *Agent) confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	var faults []error
	fail := func(p ovsdb.Port, reason string) {
		if p.Error != reason {
			a.log.Warn("endpoint failed", "port", p.Name, "container", p.Container, "reason", reason)
			faults = append(faults, ignoreGone(a.db.MarkFailed(ctx, p.Name, reason)))
		}
	}
	maps.DeleteFunc(a.namelessSince, func(container string, _ time.Time) bool { return a.seen.endpoints[container].Name == "" })
	for _, p := range a.ports {
		if reason := a.seen.rejected[p.Name]; reason != "" {
			fail(p, reason)
			continue
		}
		if a.seen.endpoints[p.Container].Name != p.Name {
			continue
		}
		if f, holds := a.held[flows.EndpointKey(p.Container)]; holds && a.admits(f) && a.want.fragments[f.Key].Hash == f.Hash {
			if reason := a.unmappable(p); reason != "" && !p.Ready {
				fail(p, reason)
			} else if reason, waits := a.nameless(p, f); waits {
				if reason != "" {
					fail(p, reason)
				}
			} else if (!p.Ready || p.Error != "") && p.OFPort != 0 && a.mapped(p) && !a.haunted(p) {
				faults = append(faults, ignoreGone(a.db.MarkReady(ctx, p.Name)))
			}
			continue
		}
		if reason := a.hopeless(p); reason != "" {
			fail(p, reason)
		}
	}
	return errors.Join(faults...)
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

// nameless reports whether a container has to wait for its app's group id,
// which follows its first endpoint: without, all that it sends is nobody's and
// denied. After a while it says so.
func (a *Agent) nameless(p ovsdb.Port, f flows.Fragment) (reason string, waits bool) {
	if p.Ready || p.App == "" || groupOf(f) != 0 {
		delete(a.namelessSince, p.Container)
		return "", false
	}
	since, known := a.namelessSince[p.Container]
	if !known {
		since = time.Now()
		a.namelessSince[p.Container] = since
	}
	if time.Since(since) < offlineGrace {
		return "", true
	}
	return fmt.Sprintf("the controller has given app %q no group id yet: `weft groups` shows how many are left, its log why", p.App), true
}

// hopeless says why an endpoint that the switch does not hold will not be held
// soon, or "" while it may. Ports that were ready before are left alone: their
// flows are there, or will be as soon as the switch is.
func (a *Agent) hopeless(p ovsdb.Port) string {
	if a.stream != nil {
		if reason := a.stream.refused[p.Container]; reason != "" {
			return "the controller refused the endpoint: " + reason
		}
	}
	if p.Ready {
		return ""
	}
	if a.blocked {
		return a.why("apply")
	}
	if a.stream == nil && time.Since(a.offlineSince) > offlineGrace {
		return a.absent()
	}
	return ""
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
