package controller

import (
	"context"

	"github.com/weft-sdn/weft/api"
)

// catchUp returns when the state holds every write that was durable when it
// was called, another replica's too. So nobody misses what was acknowledged,
// and nobody is told what may be outdated while the database does not answer.
func (c *Controller) catchUp(ctx context.Context) error {
	select {
	case <-c.stopped: // and the database may be closed
		return api.Unavailable("the controller is stopping")
	default:
	}
	news, err := c.store.Changes(ctx, api.Revision(c.revision.Load()))
	if err != nil || len(news) == 0 {
		return err
	}
	token(c.logged)
	ctx, cancel := context.WithTimeout(ctx, maxCatchUp)
	defer cancel()
	if last := news[len(news)-1].Revision; !c.follows(ctx, last) {
		return api.Unavailable("revision %d of the database is not followed yet", last)
	}
	return nil
}
