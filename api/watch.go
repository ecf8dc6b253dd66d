package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/weft-sdn/weft/flows"
)

const (
	eventsType = "text/event-stream"

	// maxWatchers bounds the streams that are open at a time, each of which
	// holds a connection and reads the change log.
	maxWatchers = 100

	// maxOwnWatchers bounds those of one caller that is no administrator, so
	// that nobody keeps everybody else out.
	maxOwnWatchers = 10

	// heartbeat is how long a watch is silent at most.
	heartbeat = 15 * time.Second

	// eventTimeout is how long a reader may take for one event.
	eventTimeout = 10 * time.Second
)

// watch tells of changes of policies as they come. A watcher is a position in
// the change log: nothing is kept for one that reads slowly. When it is too far
// behind it is told so, in an event "cut", and has to list the policies anew.
func (s *external) watch(c echo.Context) error {
	after, err := s.watchFrom(c)
	if err != nil {
		return err
	}
	leave, err := s.watchers.enter(callerOf(c))
	if err != nil {
		return err
	}
	defer leave()
	w := watcher{control: http.NewResponseController(c.Response()), c: c, admitted: time.Now()}
	if err := w.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("setting deadlines: %w", err) // the stream must not end as a slow request
	}
	c.Response().Header().Set("Content-Type", eventsType)
	c.Response().Header().Set("Cache-Control", "no-store")
	c.Response().WriteHeader(http.StatusOK)
	err = w.write(fmt.Sprintf("id: %d\n: from here on\n\n", after))
	for err == nil {
		err = s.tell(&w, &after)
	}
	if errors.Is(err, ErrGone) {
		return w.write("event: cut\ndata: " + encode(problemOf(err, c)) + "\n\n")
	}
	if c.Request().Context().Err() != nil {
		return nil // the reader has gone, or the controller is stopping
	}
	return fmt.Errorf("a watch ended: %w", err)
}

// watchers counts the open streams.
type watchers struct {
	mu  sync.Mutex
	all int
	own map[string]int // by subject, of callers that are no administrators; never 0
}

// enter counts one more stream of the caller, until leave is called.
func (w *watchers) enter(caller Caller) (leave func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	who, free := cmp.Or(caller.Subject, caller.Name), caller.Has(ScopeAdmin)
	switch {
	case w.all == maxWatchers:
		return nil, Unavailable("%d programs watch already: try again later", maxWatchers)
	case free:
	case w.own[who] == maxOwnWatchers:
		return nil, Unavailable("%d programs of yours watch already: end one first", maxOwnWatchers)
	default:
		w.own[who]++
	}
	w.all++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all--
		if free {
			return
		}
		if w.own[who]--; w.own[who] == 0 {
			delete(w.own, who)
		}
	}, nil
}

// watchFrom says where a watch begins: after the last event that the reader
// has seen, or now.
func (s *external) watchFrom(c echo.Context) (Revision, error) {
	seen := c.Request().Header.Get("Last-Event-ID")
	if seen == "" {
		_, revision, err := s.Sets.Records(c.Request().Context())
		return revision, err
	}
	n, err := strconv.ParseUint(seen, 10, 64)
	if err != nil {
		return 0, Invalid("Last-Event-ID: %.80q: want the id of an event, which is a number", seen)
	}
	return Revision(n), nil
}

// tell waits for the next changes and writes them, or a heartbeat.
func (s *external) tell(w *watcher, after *Revision) error {
	ctx, cancel := context.WithTimeout(w.c.Request().Context(), heartbeat)
	defer cancel()
	entries, reached, err := s.Watch.PolicyChanges(ctx, *after)
	*after = reached
	if gone := s.admitAgain(w); gone != nil {
		return gone
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return w.write(fmt.Sprintf("id: %d\n: ping\n\n", reached))
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry, err = s.visibleEntry(w.c, entry); err != nil {
			return err
		}
		if len(entry.Added)+len(entry.Removed)+len(entry.Updated) == 0 {
			continue
		}
		if err := w.write(fmt.Sprintf("id: %d\nevent: change\ndata: %s\n\n", entry.Revision, encode(entry))); err != nil {
			return err
		}
	}
	return nil
}

// admitAgain looks whether the reader's token is still good, and for what: a
// stream may outlive both.
func (s *external) admitAgain(w *watcher) error {
	if time.Since(w.admitted) < heartbeat {
		return nil
	}
	w.admitted = time.Now()
	return s.authenticate(s.admit(forWriters)(func(echo.Context) error { return nil }))(w.c)
}

// visibleEntry leaves out the policies that the caller may not see.
func (s *external) visibleEntry(c echo.Context, entry AuditEntry) (AuditEntry, error) {
	if callerOf(c).Has(ScopeAdmin) {
		return entry, nil
	}
	apps := map[flows.AppID]bool{}
	for _, p := range slices.Concat(entry.Added, entry.Removed, entry.Updated) {
		apps[flows.AppID(p.Source)], apps[flows.AppID(p.Destination)] = true, true
	}
	seen, err := s.visible(c, apps)
	if err != nil {
		return AuditEntry{}, err
	}
	for _, list := range []*[]PolicyDetail{&entry.Added, &entry.Removed, &entry.Updated} {
		*list = slices.DeleteFunc(*list, func(p PolicyDetail) bool {
			return !seen[flows.AppID(p.Source)] || !seen[flows.AppID(p.Destination)]
		})
	}
	return entry, nil
}

// watcher is one open stream.
type watcher struct {
	c        echo.Context
	control  *http.ResponseController
	admitted time.Time // last
}

// write sends text, and fails if the reader does not take it in time.
func (w *watcher) write(text string) error {
	err := w.control.SetWriteDeadline(time.Now().Add(eventTimeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := w.c.Response().Write([]byte(text)); err != nil {
		return err
	}
	return w.control.Flush()
}
