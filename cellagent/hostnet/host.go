package hostnet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"
)

// ErrNoDevice says that the bridge has no network device here: the datapath has
// none, or the switch runs in another network namespace.
var ErrNoDevice = errors.New("has no network device in this network namespace")

// Host keeps the host's side as a State wants it. It remembers what it did only
// to notice that somebody undid it. The zero value is ready for use.
type Host struct {
	mu     sync.Mutex        // held while programs run
	loaded map[string]string // by family: the text of ours that was loaded last
	listed map[string]string // by family: how nft listed it then
	mute   bool              // the kernel cannot reject in family bridge

	telling sync.Mutex // of report, never held for long
	report  Report
}

// Report is what a Host tells of itself.
type Report struct {
	Repairs    int       // times that rules were not as they had been loaded
	LastRepair time.Time // zero if never
	Problem    string    // what this kernel cannot do, "" if nothing
}

// Report returns what happened so far, at once.
func (h *Host) Report() Report {
	h.telling.Lock()
	defer h.telling.Unlock()
	return h.report
}

// tell changes the report.
func (h *Host) tell(change func(*Report)) {
	h.telling.Lock()
	defer h.telling.Unlock()
	change(&h.report)
}

// Ensure makes devices, route and rules as want says, and reports in words what
// it had to change. Doing it again changes nothing. Its error is ErrNoDevice if
// there is nothing to connect the host to; then nothing was touched.
func (h *Host) Ensure(ctx context.Context, want State) (changed []string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := deviceThere(want.Bridge); err != nil {
		return nil, err
	}
	// The rules come first: the route makes containers reachable.
	if h.loaded == nil {
		h.loaded, h.listed = map[string]string{}, map[string]string{}
	}
	for _, family := range []string{familyInet, familyBridge} {
		did, err := h.ensureTable(ctx, family, want)
		if did != "" {
			changed = append(changed, did)
		}
		if err != nil {
			return changed, err
		}
	}
	did, err := ensureMappings(ctx, want)
	if did {
		changed = append(changed, "port mappings")
	}
	if err != nil {
		return changed, err
	}
	links, err := ensureLinks(want)
	return append(changed, links...), err
}

// ensureTable compares one table with what nft listed after it was loaded, and
// loads it where it differs.
func (h *Host) ensureTable(ctx context.Context, family string, want State) (string, error) {
	if family == familyBridge && h.mute && !want.Mute {
		want.Mute = !h.answersNow(ctx, want)
	}
	text := want.text(family)
	have, err := list(ctx, family)
	if err != nil {
		return "", err
	}
	what := fmt.Sprintf("table %s %s", family, name)
	last, known := h.loaded[family]
	if known && last == text && have == h.listed[family] {
		return "", nil
	}
	if known && have != h.listed[family] {
		what += " (somebody changed it)"
		h.tell(func(r *Report) { r.Repairs, r.LastRepair = r.Repairs+1, time.Now() })
	}
	if err := h.load(ctx, family, have, want); err != nil {
		return "", err
	}
	return what, nil
}

// answersNow asks the kernel once more whether it can answer what the bridge
// denied, without changing anything: what it lacked may have been memory.
func (h *Host) answersNow(ctx context.Context, want State) bool {
	if check(ctx, familyBridge, want.text(familyBridge)) != nil {
		return false
	}
	h.mute = false
	h.tell(func(r *Report) { r.Problem = "" })
	return true
}

// load loads a table, without answers if the kernel cannot give them: the log
// and the limits are still of use.
func (h *Host) load(ctx context.Context, family, have string, want State) error {
	after := ""
	if family == familyInet { // a table that is replaced whole must not be without them for a moment
		after = want.mappingCommands()
	}
	err := load(ctx, family, want.text(family)+after, have)
	if err != nil && family == familyBridge && !want.Mute {
		want.Mute = true
		if load(ctx, family, want.text(family), have) == nil {
			problem := fmt.Sprintf("denied traffic is dropped, not answered: does the kernel have nft_reject_bridge? %v", err)
			h.mute, err = true, nil
			h.tell(func(r *Report) { r.Problem = problem })
		}
	}
	if err != nil {
		return err
	}
	listed, err := list(ctx, family)
	h.loaded[family], h.listed[family] = want.text(family), listed
	return err
}

// text is that of one of the two tables.
func (s State) text(family string) string {
	if family == familyBridge {
		return s.bridgeTable()
	}
	return s.inetTable()
}

// SetMappings makes the port mappings as want says, in one transaction and
// without looking at anything else: Ensure must have succeeded before.
func (h *Host) SetMappings(ctx context.Context, want State) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return setMappings(ctx, want)
}

// errBusy says that the rules cannot be compared now.
var errBusy = errors.New("the rules are being changed: does nft hang?")

// InStep reports whether both tables are as they were loaded. It waits for
// somebody who changes them, until ctx ends; nobody waits for it.
func (h *Host) InStep(ctx context.Context) (bool, error) {
	for {
		before, err := h.asListed(ctx)
		if err != nil {
			return false, err
		}
		same := true
		for _, family := range []string{familyInet, familyBridge} {
			have, err := list(ctx, family)
			if err != nil {
				return false, err
			}
			same = same && have != "" && have == before[family]
		}
		after, err := h.asListed(ctx)
		if err != nil {
			return false, err
		}
		if same || maps.Equal(before, after) { // else they were loaded meanwhile
			return same, nil
		}
	}
}

// asListed is how nft listed the tables when they were loaded, as soon as nobody
// is changing them.
func (h *Host) asListed(ctx context.Context) (map[string]string, error) {
	for !h.mu.TryLock() {
		select {
		case <-ctx.Done():
			return nil, errBusy
		case <-time.After(10 * time.Millisecond):
		}
	}
	defer h.mu.Unlock()
	return maps.Clone(h.listed), nil
}

// Remove takes away everything that Ensure made, and says in words what there
// was. What is not there is no error. ip_forward stays: others may rely on it.
func Remove(ctx context.Context, bridge string) (removed []string, err error) {
	var faults []error
	links, err := removeLinks(bridge)
	removed, faults = append(removed, links...), append(faults, err)
	// The rules go last, so that nothing is open without them.
	for _, family := range []string{familyInet, familyBridge} {
		was, err := unload(ctx, family)
		if was {
			removed = append(removed, fmt.Sprintf("nftables table %s %s", family, name))
		}
		faults = append(faults, err)
	}
	return removed, errors.Join(faults...)
}
