package flowlog

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// TestLimitIsPerSender: a noisy sender mutes nobody else, and what was left out
// is told with its next event.
func TestLimitIsPerSender(t *testing.T) {
	l := newLimiter(2)
	noisy, quiet := account{cats, Denied}, account{dogs, Denied}
	passed := 0
	for range 100 {
		if _, ok := l.take(noisy, noon); ok {
			passed++
		}
	}
	if passed != 3 {
		t.Errorf("%d of 100 passed at once at 2/s, expected one more", passed)
	}
	if n, ok := l.take(quiet, noon); !ok || n != 0 {
		t.Errorf("the quiet one: %d, %v", n, ok)
	}
	if n, ok := l.take(noisy, noon.Add(time.Second)); !ok || n != 97 {
		t.Errorf("after a second: %d suppressed, %v; want 97", n, ok)
	}
	if n, ok := l.take(noisy, noon.Add(time.Second)); !ok || n != 0 {
		t.Errorf("told twice: %d, %v", n, ok)
	}
	if _, ok := newLimiter(0).take(noisy, noon); ok {
		t.Error("0/s let one through")
	}
}

// TestLimitTakesWhatTheKernelLetThrough: one a second, each a little late.
func TestLimitTakesWhatTheKernelLetThrough(t *testing.T) {
	l := newLimiter(1)
	for i := range 1000 {
		late := time.Duration(i*7919%5000) * time.Microsecond
		if _, ok := l.take(account{cats, Denied}, noon.Add(time.Duration(i)*time.Second+late)); !ok {
			t.Fatalf("line %d, %v late, was left out", i, late)
		}
	}
}

// TestLimitForgetsSenders: memory is bounded, whoever sends.
func TestLimitForgetsSenders(t *testing.T) {
	l := newLimiter(1)
	addr, now := netip.MustParseAddr("10.0.0.1"), noon
	for range 3 * maxSenders {
		l.take(account{addr, Denied}, now)
		addr = addr.Next()
	}
	if n := len(l.accounts); n > maxSenders+1 {
		t.Errorf("%d accounts", n)
	}
	if _, ok := l.take(account{addr, Denied}, now); ok {
		t.Error("the rest have no limit")
	}
	if _, ok := l.take(account{addr, Denied}, now.Add(2*senderIdle)); !ok || len(l.accounts) > 2 {
		t.Errorf("idle ones were kept: %d accounts", len(l.accounts))
	}
}

// registry is a controller's list of apps.
type registry struct {
	apps  map[flows.GroupID]flows.AppID
	err   error
	asked [][]flows.GroupID
	hangs bool
}

func (r *registry) Apps(ctx context.Context, ids []flows.GroupID) (map[flows.GroupID]flows.AppID, error) {
	r.asked = append(r.asked, ids)
	if r.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return r.apps, r.err
}

// TestNamesAreAskedOnce: known and unknown ones, for as long as they are fresh.
func TestNamesAreAskedOnce(t *testing.T) {
	r := &registry{apps: map[flows.GroupID]flows.AppID{101: "cats"}}
	c, now := newNameCache(r), noon
	c.now = func() time.Time { return now }
	want := func(asked int, cats flows.AppID) {
		t.Helper()
		if got := c.apps(t.Context(), 101, 102, 0); !slices.Equal(got, []flows.AppID{cats, "", ""}) || len(r.asked) != asked {
			t.Errorf("%q after %d questions, want %q after %d", got, len(r.asked), cats, asked)
		}
	}
	want(1, "cats")
	want(1, "cats")
	now = now.Add(nameUnknown + time.Second)
	want(2, "cats")
	if !slices.Equal(r.asked[1], []flows.GroupID{102}) {
		t.Errorf("asked for %v", r.asked[1])
	}
	now = now.Add(nameFresh)
	r.apps[101] = "lions"
	want(3, "lions")
	now, r.err = now.Add(2*nameFresh), errors.New("away")
	want(4, "lions") // better old than none
	want(4, "lions") // and nobody waits for it again
	now, r.err = now.Add(namesAway), nil
	want(5, "lions")
}

// TestSilentControllerHoldsUpOneEvent for at most a second, and the next not.
func TestSilentControllerHoldsUpOneEvent(t *testing.T) {
	c := newNameCache(&registry{hangs: true})
	start := time.Now()
	for g := range flows.GroupID(50) {
		if got := c.apps(t.Context(), g+1); got[0] != "" {
			t.Errorf("named %q", got)
		}
	}
	if took := time.Since(start); took < namePatience/2 || took > 2*namePatience {
		t.Errorf("50 events took %v", took)
	}
}

// TestRefusalsAreTheRest: of all denied packets, those that are in no event, and
// each is told once; also when the rules begin to count anew.
func TestRefusalsAreTheRest(t *testing.T) {
	totals := map[netip.Addr]uint64{cats: 5}
	r := refusals{ask: func(context.Context) (map[netip.Addr]uint64, error) { return maps.Clone(totals), nil }}
	next := func(total, want uint64) {
		t.Helper()
		totals[cats] = total
		r.asked = time.Time{}
		if got := r.event(t.Context(), cats); got != want {
			t.Errorf("of %d: %d, want %d", total, got, want)
		}
	}
	next(5, 0) // before the log's start; this one is not counted yet
	next(7, 0)
	next(17, 9)
	if got := r.event(t.Context(), cats); got != 0 { // within the second
		t.Errorf("told twice: %d", got)
	}
	next(20, 1)
	next(3, 2) // anew
	next(4, 0)
	if got := r.event(t.Context(), dogs); got != 0 {
		t.Errorf("of nobody: %d", got)
	}
	silent := refusals{ask: func(context.Context) (map[netip.Addr]uint64, error) { return nil, errors.New("no such table") }}
	if got := silent.event(t.Context(), cats); got != 0 {
		t.Errorf("without rules: %d", got)
	}
}

// TestFileFollowsItsName: lines go on in a new file after a rotation, at once
// after SIGHUP, and the file is nobody else's to read.
func TestFileFollowsItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log", "flows.log")
	f := &file{path: path}
	defer f.close()
	write := func(line string) {
		t.Helper()
		if err := f.write([]byte(line + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(path, want string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
	write("one")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write("two") // within the second
	f.checked = time.Time{}
	write("three")
	holds(path+".1", "one\ntwo\n")
	holds(path, "three\n")
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	f.close() // what SIGHUP does
	write("four")
	holds(path, "four\n")
}

// TestFullDiskIsToldAndSurvived: /dev/full refuses every byte.
func TestFullDiskIsToldAndSurvived(t *testing.T) {
	f := &file{path: "/dev/full"}
	defer f.close()
	for range 2 {
		if err := f.write([]byte("line\n")); err == nil {
			t.Error("no error")
		}
	}
}

// TestIdentityIsOfTheGroup: a packet is of the group that came with it; the
// container that has its address is named only if it is of that group, or the
// packet left before its app had one.
func TestIdentityIsOfTheGroup(t *testing.T) {
	here := Local{Container: "c1", App: "cats", Group: 101}
	for _, c := range []struct {
		group     flows.GroupID
		named     flows.AppID // by the controller
		isHere    bool
		app       flows.AppID
		container string
	}{
		{101, "cats", true, "cats", "c1"},
		{101, "", true, "cats", "c1"},      // not to be asked
		{101, "birds", true, "cats", "c1"}, // an old name
		{0, "", true, "cats", "c1"},        // not yet
		{102, "dogs", true, "dogs", ""},    // an earlier container's
		{102, "dogs", false, "dogs", ""},
		{0, "", false, "", ""},
	} {
		if app, container := identify(c.group, c.named, here, c.isHere); app != c.app || container != c.container {
			t.Errorf("%+v: %q, %q", c, app, container)
		}
	}
}
