package controller_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/mariadb"
)

func TestMain(m *testing.M) { mariadb.Main(m) }

// replica runs a controller on a database that it shares, until the test ends.
func replica(t *testing.T, dsn string) *controller.Controller {
	t.Helper()
	c, stop := replicaOf(t, dsn, overlay())
	t.Cleanup(stop)
	return c
}

func replicaOf(t *testing.T, dsn string, overlay controller.Overlay) (c *controller.Controller, stop func()) {
	t.Helper()
	store, err := gormstore.Open(t.Context(), dsn, gormstore.Options{
		Networks: overlay.Networks, SubnetPrefix: overlay.SubnetPrefix, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err = controller.New(t.Context(), store, overlay, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); _ = c.Run(ctx) }() // Run has no other end than ctx's
	return c, func() { cancel(); <-done; store.Close() }
}

// TestReplicas: what one replica acknowledged, another tells at once to who
// asks, and soon to its agents. A write that has not seen another replica's is
// refused.
func TestReplicas(t *testing.T) {
	server, schema := mariadb.Schema(t)
	one, two := replica(t, server.DSN(schema)), replica(t, server.DSN(schema))
	add := func(c *controller.Controller, order api.Order, port uint16) error {
		_, err := c.AddPolicies(t.Context(), []api.Policy{{
			From: "cats", To: "dogs", Protocol: flows.TCP, Ports: flows.PortRange{First: port, Last: port},
		}}, order)
		return err
	}
	if _, err := one.Lease(t.Context(), "cell-1", api.LeaseRequest{VTEP: "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	if err := add(one, api.Order{By: "me"}, 80); err != nil {
		t.Fatal(err)
	}
	if list, err := two.Policies(t.Context(), api.Filter{}); err != nil || len(list) != 1 {
		t.Errorf("the other replica has %v, %v", list, err)
	}
	st, err := two.Open(t.Context(), "cell-1", api.Hello{VTEP: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Lease(t.Context(), "cell-2", api.LeaseRequest{VTEP: "192.0.2.2"}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := st.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("an agent of the other replica heard after %v", time.Since(began).Round(time.Millisecond))

	_, seen, err := one.Records(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	outcomes := make(chan error, 2)
	for i, c := range []*controller.Controller{one, two} {
		all.Go(func() { outcomes <- add(c, api.Order{By: fmt.Sprint(i), IfRevision: &seen}, uint16(90+i)) })
	}
	all.Wait()
	first, second := <-outcomes, <-outcomes
	if refused := errors.Join(first, second); (first == nil) == (second == nil) || !errors.Is(refused, api.ErrOutdated) {
		t.Errorf("two writes that have seen revision %d: %v and %v", seen, first, second)
	}
}
