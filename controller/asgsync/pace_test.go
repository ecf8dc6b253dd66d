package asgsync_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/asgsync"
)

// slowCloud does not tell when its groups changed, and takes its time for all
// of them.
type slowCloud struct {
	takes time.Duration
	reads int
}

func (c *slowCloud) LatestSecurityGroupUpdate(context.Context) (string, error) { return "", nil }

func (c *slowCloud) SecurityGroups(context.Context) ([]api.SecurityGroup, error) {
	time.Sleep(c.takes)
	c.reads++
	return nil, nil
}

type nowhere struct{}

func (nowhere) SetSecurityGroups(context.Context, []api.SecurityGroup, string) error { return nil }

// TestSlowCloudControllerIsLeftAlone for twenty times as long as it took, from
// two seconds to a minute.
func TestSlowCloudControllerIsLeftAlone(t *testing.T) {
	for _, x := range []struct {
		takes time.Duration
		reads int // within an hour
	}{
		{10 * time.Millisecond, 3600 * 1000 / 2010},
		{time.Second, 3600 / 21},
		{10 * time.Second, 3600 / 70},
	} {
		synctest.Test(t, func(t *testing.T) {
			cloud := &slowCloud{takes: x.takes}
			ctx, stop := context.WithTimeout(t.Context(), time.Hour)
			defer stop()
			(&asgsync.Syncer{Source: cloud, Sink: nowhere{}, Log: slog.New(slog.DiscardHandler)}).Run(ctx)
			if cloud.reads < x.reads || cloud.reads > x.reads+1 {
				t.Errorf("groups that take %v are read %d times an hour, not %d", x.takes, cloud.reads, x.reads)
			}
		})
	}
}
