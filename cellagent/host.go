package cellagent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent/hostnet"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// hostTimeout bounds one pass over the host's side.
const hostTimeout = 30 * time.Second

// hostSide is what the agent knows of the host's own side of the cell. The
// programs that change it take longer than a flow may wait, so one goroutine at
// a time runs them. All but net is of the agent's own goroutine.
type hostSide struct {
	net  hostnet.Host // of that goroutine's, and of whoever looks whether all is in step
	busy bool         // that goroutine is under way

	on       bool              // rules, devices and route were made
	off      string            // why not, for people; "" while that is not known
	due      bool              // compare everything
	failed   bool              // the last pass did; compare everything at the next heartbeat
	tried    time.Time         // when the last pass began
	checked  time.Time         // when everything was last as wanted
	mappings []hostnet.Mapping // that are in the rules
}

// hostPass is what one pass over the host's side came to.
type hostPass struct {
	want    hostnet.State
	all     bool     // everything was compared, not only the mappings set
	changed []string // in words
	problem string   // what this kernel cannot do
	err     error
}

// ensureHost has the host's side made as wanted, if that is due, or the port
// mappings have changed.
func (a *Agent) ensureHost() {
	h, want := &a.host, a.hostState()
	all := h.due || h.failed || !h.on
	switch {
	case h.busy || !a.configured:
		return
	case all && !h.due && time.Since(h.tried) < heartbeat:
		return
	case !all && slices.Equal(h.mappings, want.Mappings):
		return
	}
	h.busy, h.due, h.tried = true, false, time.Now()
	a.spawn(func(ctx context.Context) {
		bounded, cancel := context.WithTimeout(ctx, hostTimeout)
		defer cancel()
		pass := hostPass{want: want, all: all}
		if all {
			pass.changed, pass.err = h.net.Ensure(bounded, want)
		} else {
			pass.err = h.net.SetMappings(bounded, want)
		}
		pass.problem = h.net.Report().Problem
		a.post(ctx, func() { a.hostDone(pass) })
	})
}

// hostDone is called with the outcome of a pass.
func (a *Agent) hostDone(pass hostPass) {
	h := &a.host
	if h.busy = false; len(pass.changed) > 0 {
		a.log.Info("host network", "changed", strings.Join(pass.changed, ", "))
	}
	if errors.Is(pass.err, hostnet.ErrNoDevice) {
		if h.off == "" {
			a.log.Warn("host network is off: containers reach nothing outside the overlay, and no port is mapped", "reason", pass.err)
		}
		h.on, h.off, h.failed = false, pass.err.Error(), false
		a.fault("host network", nil)
		return
	}
	if h.failed = a.fault("host network", pass.err); h.failed {
		return
	}
	if len(pass.changed) > 0 {
		a.notices.tracker.reload(pass.want.Mappings)
	} else {
		a.notices.tracker.remap(pass.want.Mappings)
	}
	h.on, h.off, h.mappings = true, "", pass.want.Mappings
	if pass.all {
		h.checked = time.Now()
	}
	var incomplete error
	if pass.problem != "" {
		incomplete = errors.New(pass.problem)
	}
	a.fault("answers", incomplete)
}

// hostOn reports whether the host's side is there.
func (a *Agent) hostOn() bool { return a.host.on }

// hostState is the host's side as lease, configuration and containers want it.
func (a *Agent) hostState() hostnet.State {
	vtep, _ := netip.ParseAddr(a.cfg.UnderlayIP) // checked by Validate
	return hostnet.State{
		Bridge: a.cfg.Bridge, Lease: a.lease.subnet, VTEP: vtep, VXLANPort: a.lease.wire.VXLANPort,
		Services: a.cfg.Services(), NoMasquerade: a.cfg.NoMasquerade,
		Outbound: hostnet.ConnectionLimit(a.cfg.Outbound),
		Answers:  hostnet.AnswerLimits(a.cfg.Answers),
		Log: hostnet.Log{
			On: a.cfg.FlowLog.File != "", DeniedPerSec: a.cfg.FlowLog.DeniedPerSec, AcceptedUDPPerSec: a.cfg.FlowLog.AcceptedUDPPerSec,
		},
		Mappings: a.seen.mappings(),
	}
}

// mappings are those of all endpoints, in order.
func (o observation) mappings() []hostnet.Mapping {
	var all []hostnet.Mapping
	for _, p := range o.endpoints {
		all = append(all, mappingsOf(p)...)
	}
	slices.SortFunc(all, func(a, b hostnet.Mapping) int {
		if a.Protocol != b.Protocol {
			return int(a.Protocol) - int(b.Protocol)
		}
		return int(a.HostPort) - int(b.HostPort)
	})
	return all
}

func mappingsOf(p ovsdb.Port) []hostnet.Mapping {
	all := make([]hostnet.Mapping, 0, len(p.Mappings))
	for _, m := range p.Mappings {
		protocol, err := flows.ParseProtocol(m.Protocol)
		if err != nil {
			continue // ovsdb reads no others
		}
		all = append(all, hostnet.Mapping{Protocol: protocol, HostPort: m.HostPort, Container: netip.AddrPortFrom(p.IP, m.ContainerPort)})
	}
	return all
}

// mapped reports whether all ports that the container maps are open.
func (a *Agent) mapped(p ovsdb.Port) bool {
	for _, m := range mappingsOf(p) {
		if !a.host.on || !slices.Contains(a.host.mappings, m) {
			return false
		}
	}
	return true
}

// unmappable says why a container's ports will not be mapped soon. What fails
// once is tried again, before anybody is told.
func (a *Agent) unmappable(p ovsdb.Port) reason {
	for _, m := range p.Mappings {
		if m.Protocol == flows.UDP.String() && m.HostPort == a.lease.wire.VXLANPort {
			return final(fmt.Sprintf("host port %d/%s is that of the overlay's tunnels", m.HostPort, m.Protocol))
		}
	}
	if len(p.Mappings) == 0 || a.mapped(p) {
		return reason{}
	}
	if off := a.host.off; off != "" && !a.host.on {
		return final("ports cannot be mapped: host network is off: " + off)
	}
	if f := a.faults["host network"]; f != nil && time.Since(f.Since) > heartbeat {
		return passing("ports cannot be mapped: " + f.Text)
	}
	return reason{}
}

// services are the host's, as the controller is told of them.
func (c Config) services() []api.Service {
	var all []api.Service
	for _, s := range c.Services() {
		all = append(all, api.Service{Protocol: s.Protocol.String(), Address: s.Addr.String(), Port: s.Port})
	}
	return all
}

// HostStatus is the host's own side of the cell.
type HostStatus struct {
	On         bool              `json:"on"`
	Reason     string            `json:"reason,omitempty"`      // why it is off
	InStep     bool              `json:"in_step"`               // both nftables tables are as loaded, by listings made for this answer
	Mappings   int               `json:"mappings"`              // ports of containers that are open
	Repairs    int               `json:"repairs"`               // times that somebody had changed rules
	LastRepair *time.Time        `json:"last_repair,omitempty"` // absent: never
	Checked    *time.Time        `json:"checked,omitempty"`     // when rules, devices and route were last compared
	Counters   map[string]uint64 `json:"counters,omitempty"`    // packets, by "family counter" of the tables
}

// hostStatus is the part that the agent knows.
func (a *Agent) hostStatus() HostStatus {
	h := &a.host
	s := HostStatus{On: h.on, Reason: h.off, Mappings: len(h.mappings)}
	if !h.on && s.Reason == "" {
		s.Reason = a.why("host network", "bridge", "lease", "ovsdb")
	}
	if checked := h.checked; !checked.IsZero() {
		s.Checked = &checked
	}
	return s
}

// inspect adds what nft says. It may wait for a pass that is under way, so it is
// not for the agent's own goroutine.
func (s *HostStatus) inspect(ctx context.Context, net *hostnet.Host) error {
	if !s.On {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	report := net.Report()
	if s.Repairs = report.Repairs; s.Repairs > 0 {
		s.LastRepair = &report.LastRepair
	}
	var err error
	if s.InStep, err = net.InStep(ctx); err != nil {
		return err
	}
	s.Counters, err = hostnet.Counts(ctx)
	return err
}
