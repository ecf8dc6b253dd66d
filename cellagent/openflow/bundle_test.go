package openflow

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// backward is refused when the switch looks at it, long before the commit.
var backward = flows.Flow{Table: flows.TablePolicy, Priority: 7, Match: "ip", Actions: "goto_table:classify"}

// TestOneBadFlowChangesNothing: wherever it stands among a thousand, whether it is
// refused at once or at the commit, the error names it, nothing else is applied,
// and the connection goes on.
func TestOneBadFlowChangesNothing(t *testing.T) {
	r := newRig(t)
	r.NameTables(map[uint8]string{uint8(flows.TableARP): "arp"})
	r.Vsctl("set", "Flow_Table", "arp", "flow_limit=3")
	c := r.dial()
	have := plain(20)
	r.apply(c, have, nil)
	change := plain(1020)[20:]
	for _, place := range []int{0, 500, 1000} {
		t.Run(fmt.Sprint("place ", place), func(t *testing.T) {
			r.t = t
			err := c.Apply(r.within(testPatience), slices.Insert(slices.Clone(change), place, backward), have[:10])
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Flow != backward.String() || refused.Reason != "OFPBIC_BAD_TABLE_ID" {
				t.Errorf("error %v, want OFPBIC_BAD_TABLE_ID of %v", err, backward)
			}
			r.holds(have)
		})
	}
	t.Run("at the commit", func(t *testing.T) {
		r.t = t
		full := make([]flows.Flow, 4)
		for i := range full {
			full[i] = flows.Flow{Table: flows.TableARP, Priority: uint16(i + 1), Match: "arp", Actions: "drop"}
		}
		err := c.Apply(r.within(testPatience), slices.Concat(change, full), have[:10])
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Flow != full[3].String() || refused.Reason != "OFPFMFC_TABLE_FULL" {
			t.Errorf("error %v, want OFPFMFC_TABLE_FULL of %v", err, full[3])
		}
		r.holds(have)
	})
	r.t = t
	r.apply(c, change, have)
	r.holds(change)
}

// TestUnknownFlowTakesItsBundleAway: a flow without encoding, alone and behind so
// many that most of them are with the switch already.
func TestUnknownFlowTakesItsBundleAway(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	odd := flows.Flow{Table: flows.TablePolicy, Match: "ip", Actions: "group:7"}
	for _, before := range []int{0, 5000} {
		err := c.Apply(r.within(testPatience), append(plain(before), odd), nil)
		var unknown *UnknownError
		if !errors.As(err, &unknown) || unknown.Flow != odd.String() || unknown.Term != "group:7" {
			t.Errorf("error %v, want one about %v", err, odd)
		}
	}
	r.holds(nil)
	r.apply(c, plain(3), nil)
	r.holds(plain(3))
}

// TestEveryFlowRefused: the switch answers each of a hundred thousand flows with
// an error while we still send; neither side waits for the other for ever.
func TestEveryFlowRefused(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	bad := plain(100000)
	for i := range bad {
		bad[i].Actions = "goto_table:classify"
	}
	start := time.Now()
	err := c.Apply(r.within(testPatience), bad, nil)
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Flow != bad[0].String() {
		t.Errorf("error %v, want one about the first", err)
	}
	t.Logf("refused after %v", time.Since(start).Round(time.Millisecond))
	r.apply(c, plain(3), nil)
	r.holds(plain(3))
}

// TestHundredThousandFlows go in, are replaced and go out, each in one bundle.
func TestHundredThousandFlows(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	table := plain(100000)
	step := func(what string, add, remove []flows.Flow) {
		start := time.Now()
		r.apply(c, add, remove)
		t.Logf("%s: %v", what, time.Since(start).Round(time.Millisecond))
	}
	step("added", table, nil)
	r.holds(table)
	start := time.Now()
	r.holding(c, "added", table, true) // more than 100 replies: ovs-vswitchd takes no requests until some are read
	t.Logf("compared: %v", time.Since(start).Round(time.Millisecond))
	changed := slices.Clone(table)
	for i := range changed {
		changed[i].Actions = "drop"
	}
	step("replaced", changed, nil)
	step("removed", nil, changed)
	r.holds(nil)
}

// TestRemovalComesFirst: a flow that is removed and added is there.
func TestRemovalComesFirst(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	table := plain(2)
	r.apply(c, table, nil)
	r.apply(c, table, table)
	r.holds(table)
	other := table[0]
	other.Cookie, other.Actions = 0, "drop"
	r.apply(c, nil, []flows.Flow{other}) // a removal asks neither about cookie nor actions
	r.holds(table[1:])
	r.apply(c, nil, nil)
}

// TestTransactionsGoRound: their numbers have 32 bits, and a connection lasts.
func TestTransactionsGoRound(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	c.next.Store(math.MaxUint32 - 50)
	for i := range 10 {
		r.apply(c, plain(20), plain(i))
	}
	if next := c.next.Load(); next > 1000 {
		t.Errorf("the next transaction is %d", next)
	}
	r.holds(plain(20))
}

// TestManyAtOnce: bundles of many callers go one after the other.
func TestManyAtOnce(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	table := plain(200)
	failed := make(chan error)
	for i := range 20 {
		go func() { failed <- c.Apply(r.within(testPatience), table[10*i:10*i+10], nil) }()
	}
	for range 20 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	r.holds(table)
}

// TestDoneContextTouchesNothing: what is over before it begins does not end the
// connection.
func TestDoneContextTouchesNothing(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Apply(ctx, plain(1), nil); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("error %v", err)
	}
	r.apply(c, plain(3), nil)
	r.holds(plain(3))
}
