package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/server"
)

func admin(s *server.Server) *api.Client {
	return api.NewClient("http://"+s.External.String(), s.Token)
}

// watching reads a watch's lines. Events end with an empty one.
func watching(t *testing.T, s *server.Server, last string) *bufio.Scanner {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.External.String()+api.Version+"/watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	if first := event(lines); !strings.HasPrefix(first, "id: ") || !strings.Contains(first, "\n: from here on") {
		t.Fatalf("a watch begins with %q", first)
	}
	return lines
}

// event reads up to the next empty line.
func event(lines *bufio.Scanner) string {
	var text []string
	for lines.Scan() && lines.Text() != "" {
		text = append(text, lines.Text())
	}
	return strings.Join(text, "\n")
}

// TestWatchResumes where the reader was, also after a restart of the controller.
func TestWatchResumes(t *testing.T) {
	_, config := install(t)
	s := run(t, config)
	lines := watching(t, s, "")
	var events []string
	for port := range 3 {
		if _, err := admin(s).AddPolicies(t.Context(), body("a", "b", 80+port), api.Wait{}); err != nil {
			t.Fatal(err)
		}
		events = append(events, event(lines))
	}
	if _, err := admin(s).RemovePolicies(t.Context(), body("a", "b", 80), api.Wait{}); err != nil {
		t.Fatal(err)
	}
	events = append(events, event(lines))
	for i, want := range []string{`"added":[{"source":"a"`, `"start":81`, `"start":82`, `"removed":[{"source":"a","destination":"b","protocol":"tcp","ports":{"start":80`} {
		if !strings.Contains(events[i], "\nevent: change\ndata: {") || !strings.Contains(events[i], `"by":"token"`) || !strings.Contains(events[i], want) {
			t.Errorf("event %d is %s; want %s in it", i, events[i], want)
		}
	}
	begin := time.Now()
	if err := s.Stop(); err != nil || time.Since(begin) > 2*time.Second {
		t.Errorf("stopping under a watch: %v after %v", err, time.Since(begin))
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(events[1], "id: "), "\n")
	again := watching(t, run(t, config), id)
	for i := 2; i < len(events); i++ {
		if got := event(again); got != events[i] {
			t.Errorf("resumed after %s: %s\nwant %s", id, got, events[i])
		}
	}
}

// TestWatchIsCut for one who is too far behind, or ahead of all there is: it is
// told to list the policies again.
func TestWatchIsCut(t *testing.T) {
	_, config := install(t)
	lines := watching(t, run(t, config), "4711")
	if got := event(lines); !strings.HasPrefix(got, "event: cut\ndata: {") || !strings.Contains(got, "revision 4711 is newer than the newest") || !strings.Contains(got, `"status":410`) {
		t.Errorf("got %q", got)
	}
	if lines.Scan() {
		t.Errorf("after the cut comes %q", lines.Text())
	}
}

// TestWatchersAreBounded: each holds a connection, so there are not any number.
func TestWatchersAreBounded(t *testing.T) {
	_, config := install(t)
	s := run(t, config)
	for range 100 {
		watching(t, s, "")
	}
	err := admin(s).Watch(t.Context(), func(api.AuditEntry) error { return nil })
	if !errors.Is(err, api.ErrUnavailable) || !strings.Contains(err.Error(), "100 programs watch already") {
		t.Errorf("one more: %v", err)
	}
}

// TestPagesUnderWrites: a policy that is there all the while is on one page,
// and none is on two, whatever is written between them.
func TestPagesUnderWrites(t *testing.T) {
	_, config := install(t)
	s := run(t, config)
	var stay []api.PolicyBody
	for i := range 40 {
		stay = append(stay, body("stays", fmt.Sprintf("app-%d", i%7), 1000+i)...)
	}
	if _, err := admin(s).AddPolicies(t.Context(), stay, api.Wait{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			port := 2000 + i%5
			_, _ = admin(s).AddPolicies(ctx, body("goes", "app-1", port), api.Wait{})
			_, _ = admin(s).RemovePolicies(ctx, body("goes", "app-1", port), api.Wait{})
		}
	})
	defer writer.Wait()
	defer cancel()
	for limit := 1; limit < 50; limit += 6 {
		seen := map[uint64]int{}
		stayed := 0
		for after := ""; ; {
			var page api.PolicyDetailsList
			get(t, s, fmt.Sprintf("/policies?limit=%d%s", limit, after), &page)
			if !slices.IsSortedFunc(page.Policies, func(a, b api.PolicyDetail) int { return int(a.ID) - int(b.ID) }) || len(page.Policies) > limit {
				t.Errorf("a page of %d with limit %d, sorted or not", len(page.Policies), limit)
			}
			for _, p := range page.Policies {
				if seen[p.ID]++; seen[p.ID] > 1 {
					t.Errorf("policy %d is on two pages", p.ID)
				}
				if p.Source == "stays" {
					stayed++
				}
			}
			if page.Next == "" {
				break
			}
			after = "&after=" + page.Next
		}
		if stayed != len(stay) {
			t.Errorf("pages of %d: saw %d of %d that stayed", limit, stayed, len(stay))
		}
	}
}

// drawSet draws policies of which several sets can have the same.
func drawSet(t *rapid.T, name string) []api.PolicyRequest {
	policies := []api.PolicyRequest{}
	for _, port := range rapid.SliceOfNDistinct(rapid.IntRange(1, 6), 0, 5, rapid.ID[int]).Draw(t, name) {
		policies = append(policies, api.PolicyRequest{
			Source: "a", Destination: name, Protocol: "tcp", Ports: api.Ports{Start: port, End: port},
			Description: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "description"),
		})
	}
	return policies
}

// TestDryRunIsWhatApplyDoes, and pruning takes only what is the set's own.
func TestDryRunIsWhatApplyDoes(t *testing.T) {
	_, config := install(t)
	s := run(t, config)
	client, ctx := admin(s), t.Context()
	if _, err := client.AddPolicies(ctx, body("a", "one", 7), api.Wait{}); err != nil { // of no set
		t.Fatal(err)
	}
	sets := map[string][]api.PolicyRequest{}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"one", "two"}).Draw(t, "set")
		want := drawSet(t, name)
		options := api.SetOptions{Prune: rapid.Bool().Draw(t, "prune"), DryRun: true}
		dry, err := client.ApplySet(ctx, name, api.PolicySet{Policies: want}, options)
		if err != nil {
			t.Fatal(err)
		}
		options.DryRun = false
		done, err := client.ApplySet(ctx, name, api.PolicySet{Policies: want}, options)
		if err != nil {
			t.Fatal(err)
		}
		if wrote := len(done.Added)+len(done.Updated)+len(done.Removed) > 0; wrote != (done.Revision != 0) || dry.Revision != 0 {
			t.Fatalf("revisions %d dry, %d done: %+v", dry.Revision, done.Revision, done)
		}
		if done.Revision = 0; !reflect.DeepEqual(dry, done) {
			t.Fatalf("announced %+v\ndone      %+v", dry, done)
		}
		sets[name] = merge(sets[name], want, options.Prune)
		list, _, err := client.PolicyDetails(ctx, api.DetailFilter{})
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]int{}
		for _, p := range list {
			have[p.Set]++
			if p.Set != "" && !slices.ContainsFunc(sets[p.Set], func(r api.PolicyRequest) bool { return reflect.DeepEqual(r, p.PolicyRequest) }) {
				t.Fatalf("set %s has %+v", p.Set, p)
			}
		}
		if have[""] != 1 || have["one"] != len(sets["one"]) || have["two"] != len(sets["two"]) {
			t.Fatalf("policies by set: %v, want 1, %d, %d", have, len(sets["one"]), len(sets["two"]))
		}
		again, err := client.ApplySet(ctx, name, api.PolicySet{Policies: want}, options)
		if err != nil || again.Revision != 0 || again.Unchanged != len(want) {
			t.Fatalf("the same once more: %+v, %v", again, err)
		}
	})
}

// merge is what a set has after want was applied.
func merge(had, want []api.PolicyRequest, prune bool) []api.PolicyRequest {
	if prune {
		return want
	}
	merged := slices.Clone(want)
	for _, p := range had {
		if !slices.ContainsFunc(want, func(q api.PolicyRequest) bool { return q.Ports == p.Ports }) {
			merged = append(merged, p)
		}
	}
	return merged
}

// TestSetsDoNotTakeFromEachOther: two files that have the same policy would
// take it from each other for ever.
func TestSetsDoNotTakeFromEachOther(t *testing.T) {
	_, config := install(t)
	s := run(t, config)
	set := api.PolicySet{Policies: []api.PolicyRequest{{Source: "a", Destination: "b", Protocol: "tcp", Ports: api.Ports{Start: 1, End: 1}}}}
	if _, err := admin(s).ApplySet(t.Context(), "one", set, api.SetOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		if _, err := admin(s).ApplySet(t.Context(), "two", set, api.SetOptions{DryRun: dry}); !errors.Is(err, api.ErrConflict) {
			t.Errorf("dry run %v: %v", dry, err)
		}
	}
}

// TestConcurrentApplies: of those that insist on a revision one wins, of those
// that do not all do, one after the other.
func TestConcurrentApplies(t *testing.T) {
	_, config := install(t)
	s := run(t, config)
	if _, err := admin(s).AddPolicies(t.Context(), body("x", "y", 1), api.Wait{}); err != nil {
		t.Fatal(err)
	}
	_, revision, err := admin(s).PolicyDetails(t.Context(), api.DetailFilter{})
	if err != nil {
		t.Fatal(err)
	}
	apply := func(options api.SetOptions) (won, lost int32) {
		var wins, losses atomic.Int32
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				set := api.PolicySet{Policies: []api.PolicyRequest{{Source: "a", Destination: "b", Protocol: "tcp", Ports: api.Ports{Start: i + 1, End: 99}}}}
				switch _, err := admin(s).ApplySet(t.Context(), "web", set, options); {
				case err == nil:
					wins.Add(1)
				case errors.Is(err, api.ErrOutdated):
					losses.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		return wins.Load(), losses.Load()
	}
	if won, lost := apply(api.SetOptions{Prune: true, IfRevision: revision}); won != 1 || lost != 7 {
		t.Errorf("with If-Match %d won and %d lost", won, lost)
	}
	if won, lost := apply(api.SetOptions{Prune: true}); won != 8 || lost != 0 {
		t.Errorf("without If-Match %d won and %d lost", won, lost)
	}
	if list, _, err := admin(s).PolicyDetails(t.Context(), api.DetailFilter{Set: "web"}); err != nil || len(list) != 1 {
		t.Errorf("the set has %+v, %v; want what the last one said", list, err)
	}
}

// get reads one answer of the native API.
func get(t *testing.T, s *server.Server, path string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.External.String()+api.Version+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
}
