package cellagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent/doctor"
	"github.com/weft-sdn/weft/flows"
)

// lookTimeout bounds one look at the host: it runs programs.
const lookTimeout = 15 * time.Second

// checkup is what the agent knows of what is wrong with its host. A look takes
// longer than a flow may wait, so one goroutine at a time does it.
type checkup struct {
	busy  bool // that goroutine is under way
	due   bool
	begun time.Time     // the last look
	wrong []api.Finding // that it found, without what is well
}

// configured is called with the outcome of each configure. The host is looked at
// when it is known what is wanted of it: after a full comparison, and no more
// often while the agent refuses to configure anything.
func (c *checkup) configured(err error, every time.Duration) {
	if err == nil || (errors.Is(err, errRefused) && time.Since(c.begun) > every) {
		c.due = true
	}
}

// examine has the host looked at, if that is due. What the agent itself does
// there comes first: it must not be found missing.
func (a *Agent) examine() {
	c := &a.checkup
	if !c.due || c.busy || a.host.busy {
		return
	}
	c.busy, c.due, c.begun = true, false, time.Now()
	cell, from := a.patient()
	a.spawn(func(ctx context.Context) {
		bounded, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()
		found := doctor.Judge(doctor.Look(bounded, cell, from))
		a.post(ctx, func() {
			c.busy = false
			a.examined(found)
		})
	})
}

// examined keeps what is wrong, and logs what of it is new, and what is over.
func (a *Agent) examined(found []api.Finding) {
	wrong := slices.DeleteFunc(found, func(f api.Finding) bool { return f.Level == api.LevelOK })
	before := a.checkup.wrong
	for _, f := range wrong {
		if slices.Contains(before, f) {
			continue
		}
		log := a.log.Warn
		if f.Level == api.LevelError {
			log = a.log.Error
		}
		log("host: "+f.Text, "check", f.Check, "remedy", f.Remedy)
	}
	for _, f := range before {
		if !slices.ContainsFunc(wrong, func(x api.Finding) bool { return x.Check == f.Check }) {
			a.log.Info("host: well again", "check", f.Check)
		}
	}
	a.checkup.wrong = wrong
}

// patient is what the agent tells the doctor.
func (a *Agent) patient() (doctor.Cell, doctor.Sources) {
	cell := a.tunnelled()
	host := a.hostStatus()
	cell.Lease, cell.HostOn, cell.HostOff = a.lease.subnet, host.On, host.Reason
	for _, f := range a.want.fragments {
		if len(f.Flows) > 0 && f.Flows[0].Cookie.Kind() == flows.KindCell {
			cell.Peers = append(cell.Peers, f.Flows[0].Cookie.IP())
		}
	}
	slices.SortFunc(cell.Peers, netip.Addr.Compare)
	return cell, doctor.Sources{DB: a.db, Rules: &a.host.net}
}

// tunnelled is the part of it that the tunnel depends on.
func (a *Agent) tunnelled() doctor.Cell {
	vtep, _ := netip.ParseAddr(a.cfg.UnderlayIP) // checked by Validate
	return doctor.Cell{
		Bridge: a.cfg.Bridge, Userspace: a.alone(), UnderlayIP: vtep, Tunnel: tunnelPort, UDPPort: a.lease.wire.VXLANPort,
	}
}

// checkTunnelPort refuses a tunnel on a UDP port that somebody else has.
// ovs-vswitchd would refuse it as well, but names nobody, and where both are in
// its database it may next time refuse the other.
func (a *Agent) checkTunnelPort() error {
	port, err := doctor.LookTunnelPort(a.db, a.tunnelled())
	if err != nil {
		return fmt.Errorf("tunnel: %w", err)
	}
	if by, remedy := port.Taken(); by != "" {
		return fmt.Errorf("%w: UDP %d belongs to %s, and so the cell gets no tunnel: %s", errRefused, a.lease.wire.VXLANPort, by, remedy)
	}
	return nil
}

// answerDoctor looks anew.
func (a *Agent) answerDoctor(w http.ResponseWriter, r *http.Request) {
	type patient struct {
		cell doctor.Cell
		from doctor.Sources
	}
	known := make(chan patient, 1)
	a.post(r.Context(), func() {
		cell, from := a.patient()
		known <- patient{cell, from}
	})
	select {
	case p := <-known:
		ctx, cancel := context.WithTimeout(r.Context(), lookTimeout)
		defer cancel()
		found := doctor.Judge(doctor.Look(ctx, p.cell, p.from))
		a.post(r.Context(), func() { a.examined(slices.Clone(found)) })
		w.Header().Set("Content-Type", "application/json")
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		_ = out.Encode(api.Checkup{Cell: a.cfg.Cell, At: time.Now(), Findings: found}) // the reader went away: nobody to tell
	case <-r.Context().Done():
	case <-a.lifetime.Done():
	}
}
