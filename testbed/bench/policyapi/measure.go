package policyapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weft-sdn/weft/testbed/mariadb"
)

// The size that is measured.
const (
	apps           = 20_000
	perApp         = 3 // policies that an app is the source of
	policies       = apps * perApp
	perRequest     = 600 // policies of one request while loading
	workers        = 4   // requests at a time while loading
	listsAtOnce    = 4   // for the memory that lists need
	createSamples  = 250
	listSamples    = 25
	filterSamples  = 400
	uncounted      = 5 // samples before those that count: connections, statements, caches
	startupPatient = 60 * time.Second
)

// Options say what to measure with.
type Options struct {
	Controller string // path of the weft-controller binary
	Dir        string // an empty folder to work in
	Say        func(format string, args ...any)
}

// Measure runs everything: first on SQLite, then on a MariaDB of its own.
func Measure(ctx context.Context, o Options) (Result, error) {
	r := Result{Apps: apps, Policies: policies}
	if err := o.sqlite(ctx, &r); err != nil {
		return r, fmt.Errorf("on SQLite: %w", err)
	}
	if err := o.mysql(ctx, &r); err != nil {
		return r, fmt.Errorf("on MariaDB: %w", err)
	}
	return r, nil
}

func (o Options) sqlite(ctx context.Context, r *Result) (err error) {
	c, err := o.start(ctx, "sqlite", "sqlite://"+o.Dir+"/sqlite/weft.db")
	if err != nil {
		return err
	}
	defer func() { err = c.stop(err) }()
	if r.LoadPerSecond, err = c.load(ctx); err != nil {
		return err
	}
	loaded, err := c.peak()
	if err != nil {
		return err
	}
	o.Say("sqlite: loaded %d policies, %.0f a second; the controller's memory was at most %.0f MiB", policies, r.LoadPerSecond, loaded)
	if r.Create, err = c.creates(ctx); err != nil {
		return err
	}
	o.Say("sqlite: create %s", r.Create)
	if r.List, err = c.lists(ctx, &r.ListBytes); err != nil {
		return err
	}
	o.Say("sqlite: list of %.1f MB %s", float64(r.ListBytes)/1e6, r.List)
	if r.Filter, err = c.filters(ctx); err != nil {
		return err
	}
	o.Say("sqlite: filtered list %s", r.Filter)
	if err := c.listTogether(ctx); err != nil {
		return err
	}
	r.PeakMiB, err = c.peak()
	o.Say("sqlite: the controller's memory was at most %.0f MiB", r.PeakMiB)
	return err
}

func (o Options) mysql(ctx context.Context, r *Result) (err error) {
	server, err := mariadb.Start()
	if err != nil {
		return err
	}
	defer server.Remove()
	if err := server.Exec("", "CREATE DATABASE weft"); err != nil {
		return err
	}
	c, err := o.start(ctx, "mysql", server.TCP("weft"))
	if err != nil {
		return err
	}
	defer func() { err = c.stop(err) }()
	if r.LoadMySQLPerSecond, err = c.load(ctx); err != nil {
		return err
	}
	o.Say("mariadb: loaded %d policies, %.0f a second", policies, r.LoadMySQLPerSecond)
	r.CreateMySQL, err = c.creates(ctx)
	o.Say("mariadb: create %s", r.CreateMySQL)
	return err
}

// load adds all policies and returns how many it added in a second.
func (c *controller) load(ctx context.Context) (float64, error) {
	requests := make(chan []byte, policies/perRequest)
	for first := 0; first < policies; first += perRequest {
		requests <- bodyOf(first, perRequest)
	}
	close(requests)
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for range workers {
		group.Go(func() error {
			for body := range requests {
				if _, err := c.call(ctx, http.MethodPost, "/policies", body); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return policies / time.Since(begin).Seconds(), nil
}

// creates adds one policy between two apps that have others, and takes it back
// without counting that: each time there are as many as before.
func (c *controller) creates(ctx context.Context) (Spread, error) {
	return sample(createSamples, func(i int) (time.Duration, error) {
		body := bodyOf(policies+i, 1)
		begin := time.Now()
		_, err := c.call(ctx, http.MethodPost, "/policies", body)
		took := time.Since(begin)
		if err != nil {
			return 0, err
		}
		_, err = c.call(ctx, http.MethodPost, "/policies/delete", body)
		return took, err
	})
}

// lists reads the list of all policies to its end.
func (c *controller) lists(ctx context.Context, size *int) (Spread, error) {
	return sample(listSamples, func(int) (time.Duration, error) {
		begin := time.Now()
		answer, err := c.call(ctx, http.MethodGet, "/policies", nil)
		took := time.Since(begin)
		*size = answer.size
		return took, answer.want(policies, err)
	})
}

// filters reads the policies of one app: as many as it is the source of, and
// as many again that others have toward it.
func (c *controller) filters(ctx context.Context) (Spread, error) {
	return sample(filterSamples, func(i int) (time.Duration, error) {
		path := "/policies?id=" + appID(i*7919%apps)
		begin := time.Now()
		answer, err := c.call(ctx, http.MethodGet, path, nil)
		took := time.Since(begin)
		return took, answer.want(2*perApp, err)
	})
}

// listTogether lists from several clients at once: memory is for the worst moment.
func (c *controller) listTogether(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for range listsAtOnce {
		group.Go(func() error {
			for range listSamples / listsAtOnce {
				answer, err := c.call(ctx, http.MethodGet, "/policies", nil)
				if err := answer.want(policies, err); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// sample takes so many samples after a few that do not count.
func sample(n int, take func(i int) (time.Duration, error)) (Spread, error) {
	var took []float64
	for i := range uncounted + n {
		d, err := take(i)
		if err != nil {
			return Spread{}, err
		}
		if i >= uncounted {
			took = append(took, d.Seconds()*1e3)
		}
	}
	return spreadOf(took), nil
}
