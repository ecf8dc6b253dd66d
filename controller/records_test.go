package controller_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
)

// TestFollowersAreNotWaitedFor: who reads slowly loses its place when it is too
// far behind, and holds up nobody.
func TestFollowersAreNotWaitedFor(t *testing.T) {
	runSlow(t, &slowStore{}, func(t *testing.T, c *controller.Controller, _ api.Stream, _ string) {
		const writes = 1001
		for range writes {
			if _, err := c.AddPolicies(t.Context(), policy("x", "app", 80), api.Order{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := c.PolicyChanges(t.Context(), 0); !errors.Is(err, api.ErrGone) {
			t.Errorf("1001 changes behind: %v", err)
		}
		if entries, last, err := c.PolicyChanges(t.Context(), 1); err != nil || len(entries) != writes-1 || last != writes {
			t.Errorf("1000 changes behind: %d entries up to %d, %v", len(entries), last, err)
		}
	})
}

// TestFollowersWaitForChanges, and learn when they looked in vain.
func TestFollowersWaitForChanges(t *testing.T) {
	runSlow(t, &slowStore{}, func(t *testing.T, c *controller.Controller, _ api.Stream, _ string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if entries, last, err := c.PolicyChanges(ctx, 0); !errors.Is(err, context.DeadlineExceeded) || len(entries) != 0 || last != 0 {
			t.Errorf("nothing happened: %v up to %d, %v", entries, last, err)
		}
		go func() {
			if _, err := c.AddPolicies(t.Context(), policy("x", "app", 80), api.Order{}); err != nil {
				t.Error(err)
			}
		}()
		entries, last, err := c.PolicyChanges(t.Context(), 0)
		if err != nil || last != 1 || len(entries) != 1 || len(entries[0].Added) != 1 || entries[0].Added[0].Source != "x" {
			t.Errorf("one was added: %+v up to %d, %v", entries, last, err)
		}
		synctest.Wait()
	})
}
