package flowlog

import (
	"context"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// Names knows whose group ids are: the controller.
type Names interface {
	// Apps returns the apps of those ids that are given to one.
	Apps(ctx context.Context, ids []flows.GroupID) (map[flows.GroupID]flows.AppID, error)
}

const (
	namePatience = time.Second      // that one question may hold up the log
	nameFresh    = time.Minute      // shorter than a freed id's quarantine
	nameUnknown  = 10 * time.Second // until the controller is asked again for an id that it did not know
	namesAway    = 5 * time.Second  // until a controller that did not answer is asked again
)

// nameCache remembers names, at most one for each of the 65,535 ids. It has
// one user.
type nameCache struct {
	names Names
	now   func() time.Time
	known map[flows.GroupID]name
	away  time.Time // ask nobody before
}

type name struct {
	app   flows.AppID // "" for nobody's
	stale time.Time
}

func newNameCache(names Names) *nameCache {
	return &nameCache{names: names, now: time.Now, known: map[flows.GroupID]name{}}
}

// apps returns the names of groups, "" for those that it cannot learn in time.
// While the controller is away a name outlives its freshness: an id is given
// to another app only when this cell has acknowledged the loss of the old one.
func (c *nameCache) apps(ctx context.Context, groups ...flows.GroupID) []flows.AppID {
	now := c.now()
	var ask []flows.GroupID
	for _, g := range groups {
		if n, ok := c.known[g]; g != 0 && (!ok || now.After(n.stale)) {
			ask = append(ask, g)
		}
	}
	if len(ask) > 0 && !now.Before(c.away) {
		c.learn(ctx, ask)
	}
	out := make([]flows.AppID, len(groups))
	for i, g := range groups {
		out[i] = c.known[g].app
	}
	return out
}

func (c *nameCache) learn(ctx context.Context, ids []flows.GroupID) {
	ctx, cancel := context.WithTimeout(ctx, namePatience)
	defer cancel()
	apps, err := c.names.Apps(ctx, ids)
	if err != nil {
		c.away = c.now().Add(namesAway)
		return
	}
	for _, id := range ids {
		lifetime := nameFresh
		if apps[id] == "" {
			lifetime = nameUnknown
		}
		c.known[id] = name{apps[id], c.now().Add(lifetime)}
	}
}
