package openflow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// holding fails the test unless the connection says of the table what it should.
func (r *rig) holding(c *Conn, what string, table flows.Table, want bool) {
	r.t.Helper()
	has, err := c.Holds(r.within(testPatience), inFragments(table))
	if err != nil || has != want {
		r.t.Errorf("%s: holds %v, want %v: %v", what, has, want, err)
	}
}

// inFragments is a table in parts of a few flows.
func inFragments(table flows.Table) []flows.Fragment {
	var parts []flows.Fragment
	for some := range slices.Chunk(table, 7) {
		parts = append(parts, flows.NewFragment(flows.FragmentKey(fmt.Sprint(len(parts))), slices.Clone(some)))
	}
	return parts
}

// TestWhatWasAppliedIsHeld: every match and action that the encoder knows is the
// same in what the switch tells, whoever put it there.
func TestWhatWasAppliedIsHeld(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	for name, table := range tables(t) {
		t.Run(name, func(t *testing.T) {
			r.t = t
			r.holding(c, "before", table, false)
			r.apply(c, table, nil)
			r.holding(c, "applied by a bundle", table, true)
			r.holding(c, "and some flow less is wanted", table[1:], false)
			r.apply(c, nil, table)
			r.holding(c, "removed", nil, true)
			var text strings.Builder
			for _, f := range table {
				fmt.Fprintf(&text, "table=%d,priority=%d,cookie=%v,%s actions=%s\n", f.Table, f.Priority, f.Cookie, f.Match, numbers.Replace(f.Actions))
			}
			r.Ofctl(text.String(), "--bundle", "--no-names", "add-flows", r.Name, "-")
			r.holding(c, "applied by ovs-ofctl", table, true)
			r.Ofctl("", "del-flows", r.Name)
		})
	}
}

// TestEveryDifferenceIsSeen, however small, and nothing is different once it is
// undone.
func TestEveryDifferenceIsSeen(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	table := append(plain(20), flows.Flow{Table: flows.TableARP, Priority: 5, Match: "tun_gbp_flags=0x8", Actions: "drop"})
	first := "table=70,priority=100,cookie=0x4000000000000001,ct_state=-rel-inv+trk,ct_nw_proto=6,ct_tp_dst=8080,ip,reg0=0x1,reg1=0x66"
	if out := table[0].String(); !strings.HasPrefix(out, "cookie=0x4000000000000001, table=policy, priority=100,ct_state=-rel-inv+trk,ct_nw_proto=6") {
		t.Fatalf("the first flow is %s", out)
	}
	first = strings.Replace(first, "table=70", fmt.Sprint("table=", uint8(flows.TablePolicy)), 1)
	output := fmt.Sprint(",actions=goto_table:", uint8(flows.TableOutput))
	for what, change := range map[string][]string{
		"missing":              {"--strict", "del-flows", strings.Replace(first, ",cookie=0x4000000000000001", "", 1)},
		"foreign":              {"add-flow", "table=7,priority=9,actions=FLOOD"},
		"foreign, never made":  {"add-flow", "table=7,priority=9,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=drop"},
		"other priority":       {"add-flow", strings.Replace(first, "priority=100", "priority=101", 1) + output},
		"other cookie":         {"add-flow", strings.Replace(first, "0001,", "0002,", 1) + output},
		"no cookie":            {"add-flow", strings.Replace(first, ",cookie=0x4000000000000001", "", 1) + output},
		"other actions":        {"add-flow", first + ",actions=drop"},
		"more actions":         {"add-flow", first + strings.Replace(output, "actions=", "actions=ct_clear,", 1)},
		"other table":          {"add-flow", first + fmt.Sprint(",actions=goto_table:", uint8(flows.TableOutput)+1)},
		"idle timeout":         {"add-flow", first + ",idle_timeout=600" + output},
		"hard timeout":         {"add-flow", first + ",hard_timeout=600" + output},
		"importance":           {"add-flow", first + ",importance=7" + output},
		"flow removed message": {"add-flow", first + ",send_flow_rem" + output},
		"no counts":            {"add-flow", first + ",no_packet_counts" + output},
		"mask not printed":     {"add-flow", "table=" + fmt.Sprint(uint8(flows.TableARP)) + ",priority=5,tun_gbp_flags=0x8/0x8,actions=drop"},
	} {
		t.Run(what, func(t *testing.T) {
			r.t = t
			r.Ofctl("", "del-flows", r.Name)
			r.apply(c, table, nil)
			r.holding(c, "as applied", table, true)
			r.Ofctl("", append(append([]string{"--no-names"}, change[:len(change)-1]...), r.Name, change[len(change)-1])...)
			r.holding(c, what, table, false)
		})
	}
	r.t = t
	r.Ofctl("", "del-flows", r.Name)
	r.apply(c, table, nil)
	r.holding(c, "undone", table, true)
	r.holding(c, "one wanted twice", append(slices.Clone(table), table[0]), false)
	r.holding(c, "one wanted twice in place of another", append(slices.Clone(table[1:]), table[1]), false)
	r.holding(c, "none wanted", nil, false)
}

// TestWhatHasNoEncodingIsNotCompared: it is said which flow that is, and a flow
// that the switch would not take is not there.
func TestWhatHasNoEncodingIsNotCompared(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	odd := flows.Flow{Table: flows.TablePolicy, Match: "ip", Actions: "group:7"}
	r.apply(c, plain(1001), nil) // as many as are wanted, or the answer is known before
	for range 3 {
		_, err := c.Holds(r.within(testPatience), inFragments(append(plain(1000), odd)))
		if unknown := (*UnknownError)(nil); !errors.As(err, &unknown) || unknown.Flow != odd.String() || unknown.Term != "group:7" {
			t.Errorf("error %v, want one about %v", err, odd)
		}
	}
	silent := flows.Flow{Table: flows.TablePolicy, Match: "ct_state=-inv+trk,ct_tp_dst=80,ip", Actions: "drop"}
	r.holding(c, "left out in silence", append(plain(1000), silent), false)
	r.holding(c, "afterwards", plain(1001), true)
}

// TestComparisonsAmongBundles: bundles and comparisons, many at once, get their own
// answers, and a comparison sees the table before a bundle or after it.
func TestComparisonsAmongBundles(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	const turns = 50
	large, change := plain(3010)[10:], plain(10)
	r.apply(c, large, nil)
	with := slices.Concat(large, change)
	failed := make(chan error)
	go func() {
		for i := range turns {
			add, remove := change, change[:0]
			if i%2 == 1 {
				add, remove = remove, add
			}
			failed <- c.Apply(r.within(testPatience), add, remove)
		}
	}()
	for i := range 2 * turns {
		go func() {
			half := slices.Concat(large, change[:1+i%9])
			is, err := c.Holds(r.within(testPatience), inFragments(half))
			if is {
				err = errors.Join(err, errors.New("half of a bundle was seen"))
			}
			failed <- err
		}()
	}
	for range 3 * turns {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	r.holding(c, "in the end", large, true)
	r.holding(c, "in the end, not", with, false)
}

// TestNeitherWaitsForTheOther: a bundle goes on while a comparison is unanswered,
// and the other way round.
func TestNeitherWaitsForTheOther(t *testing.T) {
	for what, lost := range map[string]kind{"comparison": kindMultipartRequest, "bundle": kindBundleControl} {
		t.Run(what+" unanswered", func(t *testing.T) {
			r := newRig(t)
			r.apply(r.dial(), plain(3), nil)
			swallowed := make(chan struct{}, 10)
			line := r.line(func(m message, _ net.Conn) bool {
				if m.kind == lost {
					swallowed <- struct{}{}
				}
				return m.kind != lost
			})
			c := r.dialBy(line.socket, usual)
			ctx, cancel := context.WithCancel(t.Context())
			unanswered := make(chan error, 1)
			hangs := func(ctx context.Context) error {
				_, err := c.Holds(ctx, inFragments(plain(3)))
				return err
			}
			goesOn := func(ctx context.Context) error { return c.Apply(ctx, plain(5)[3:], nil) }
			if lost == kindBundleControl {
				hangs, goesOn = goesOn, hangs
			}
			go func() { unanswered <- hangs(ctx) }()
			<-swallowed
			if err := goesOn(r.within(testPatience)); err != nil {
				t.Error(err)
			}
			cancel()
			if err := <-unanswered; !errors.Is(err, context.Canceled) {
				t.Errorf("error %v of what is not answered", err)
			}
		})
	}
}

// TestAskerGivesUpAndTheConnectionStands: a switch that is busy is no lost one.
func TestAskerGivesUpAndTheConnectionStands(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	r.apply(c, plain(3), nil)
	r.PauseVswitchd()
	for range 3 { // the second and third wait for the first
		start := time.Now()
		_, err := c.Holds(r.within(100*time.Millisecond), inFragments(plain(3)))
		if err == nil || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the switch does not answer") || c.Err() != nil {
			t.Errorf("error %v, the connection %v", err, c.Err())
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v, the deadline was 100 ms", took)
		}
	}
	r.ResumeVswitchd()
	r.holding(c, "afterwards", plain(3), true)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Holds(ctx, inFragments(plain(3))); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	r.apply(c, nil, plain(3))
	r.holding(c, "none", nil, true)
	r.KillVswitchd()
	if _, err := c.Holds(r.within(testPatience), nil); err == nil || !strings.Contains(err.Error(), "OpenFlow connection lost") {
		t.Errorf("of a switch that is gone: %v", err)
	}
}
