package cellagent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weft-sdn/weft/cellagent/openflow"
)

// How the link looks for the switch: at first often, since a restart of
// ovs-vswitchd is over in a fraction of a second and every moment without
// flows is lost traffic; then seldom.
const (
	linkRetryQuick  = 5 * time.Millisecond
	linkRetrySlow   = 200 * time.Millisecond
	linkQuickPeriod = 10 * time.Second
	linkGreeting    = 15 * time.Second // without an answer to it the switch hangs
)

// watchSwitch keeps an OpenFlow connection to the bridge, until ctx ends. It
// calls up with each new one, and down, with the reason, after each loss and
// where a switch listens and does not agree: so that the end of ovs-vswitchd, or
// of the bridge, is known at once.
func watchSwitch(ctx context.Context, socket string, up func(*openflow.Conn), down func(error)) {
	lost := time.Now()
	for ctx.Err() == nil {
		conn, err := greetSwitch(ctx, socket)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			up(conn)
			select {
			case <-ctx.Done():
			case <-conn.Done():
				down(conn.Err())
				lost = time.Now()
			}
		case !errors.Is(err, openflow.ErrAbsent):
			down(err)
		}
		if conn != nil {
			conn.Close()
		}
		retry := linkRetryQuick
		if time.Since(lost) > linkQuickPeriod {
			retry = linkRetrySlow
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

func greetSwitch(ctx context.Context, socket string) (*openflow.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, linkGreeting)
	defer cancel()
	return openflow.Dial(ctx, socket)
}

// switchUp begins with a switch of which nothing is known yet.
func (a *Agent) switchUp(conn *openflow.Conn) {
	a.sw = Connected(conn, a.ofctl, a.fellBack)
	a.conn, a.linked, a.looked, a.held, a.blocked = conn, true, false, nil, false
	a.audit, a.suspect = nil, false
	a.counts.SwitchConnections++
	a.fault("switch", nil)
}

// switchDown forgets what the switch held.
func (a *Agent) switchDown(err error) {
	a.linked, a.held = false, nil
	a.audit, a.suspect = nil, false
	a.configured, a.observed = false, false
	a.fault("switch", fmt.Errorf("OpenFlow connection lost: %w%s", err, askVswitchd))
}

// askVswitchd is what to look for where the switch is gone.
const askVswitchd = ": is ovs-vswitchd running? systemctl start openvswitch-switch"

// feelPulse notes that the switch answers nothing though its connection stands,
// and that there is none though it should: the end of an ovs-vswitchd that was
// away before the agent came is told by nobody.
func (a *Agent) feelPulse(now time.Time) {
	silent := time.Duration(0)
	if a.linked {
		silent = a.conn.Unanswered()
	}
	switch {
	case silent > switchGrace: // less is what a large table takes, or a busy machine
		a.fault("switch", errors.New("the switch does not answer: is ovs-vswitchd, or ovsdb-server, stuck? systemctl restart openvswitch-switch"))
		a.faults["switch"].Since = now.Add(-silent)
	case a.linked:
		a.fault("switch", nil)
	case a.configured && a.missed.IsZero():
		a.missed = now
	case a.configured && now.Sub(a.missed) > heartbeat && a.faults["switch"] == nil:
		a.fault("switch", fmt.Errorf("nobody listens on %s%s", a.cfg.ManagementSocket(), askVswitchd))
	}
	if a.linked || !a.configured {
		a.missed = time.Time{}
	}
}

// maxUnknown bounds the terms that are remembered as logged.
const maxUnknown = 1000

// fellBack notes that a bundle goes by ovs-ofctl.
func (a *Agent) fellBack(why *openflow.UnknownError) {
	a.counts.OfctlBundles++
	if !a.unknown[why.Term] && len(a.unknown) < maxUnknown {
		a.unknown[why.Term] = true
		a.log.Warn("applied by ovs-ofctl", "term", why.Term, "error", why)
	}
}
