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

// lookTimeout bounds one look at the host: it runs programs. Two of them fit into
// the time for which `weft doctor` waits.
const lookTimeout = 12 * time.Second

// startGrace is for how long an agent that starts may find itself without bridge
// or lease before the host is looked at: most often it has both at once.
const startGrace = 3 * heartbeat

// checkup is what the agent knows of what is wrong with its host. A look takes
// longer than a flow may wait, and holds up a container's start meanwhile, so one
// goroutine at a time does it.
type checkup struct {
	busy    bool // that goroutine is under way
	due     bool
	asked   []chan<- api.Checkup // who waits for the next look, each with room for it
	wrong   []api.Finding        // that the last look found, without what is well
	refusal string               // why nothing was configured at the last attempt, if it was refused
}

// configured is called with the outcome of each configure. What it did, or did
// not do for another reason than before, makes the host another one.
func (c *checkup) configured(err error) {
	refusal := ""
	if errors.Is(err, errRefused) {
		refusal = err.Error()
	}
	if err == nil || refusal != c.refusal {
		c.due = true
	}
	c.refusal = refusal
}

// examine has the host looked at, if that is due or somebody asked. What the
// agent itself does there comes first: it must not be found missing. Neither
// bridge, lease nor switch need be there: what is missing may be why.
func (a *Agent) examine() {
	c := &a.checkup
	starts := !a.configured && time.Since(a.started) < startGrace
	due := c.due && !a.host.busy && !starts
	if c.busy || !due && len(c.asked) == 0 {
		return
	}
	cell, from := a.patient()
	asked := c.asked // who asks from now on gets a look that begins later
	c.busy, c.due, c.asked = true, false, nil
	a.spawn(func(ctx context.Context) {
		bounded, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()
		found := doctor.Judge(doctor.Look(bounded, cell, from))
		a.post(ctx, func() {
			c.busy = false
			a.examined(found)
			all := api.Checkup{Cell: a.cfg.Cell, At: time.Now(), Findings: found}
			for _, answer := range asked {
				answer <- all
			}
		})
	})
}

// examined keeps what is wrong, and logs what of it is new, and what is over. What
// the agent says of itself is in log and status as its faults.
func (a *Agent) examined(found []api.Finding) {
	wrong := slices.DeleteFunc(slices.Clone(found), func(f api.Finding) bool { return f.Level == api.LevelOK || f.Check == doctor.Agent })
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
	cell.Lease, cell.HostOn, cell.HostOff, cell.Ofctl = a.lease.subnet, host.On, a.host.off, a.cfg.OVSOfctl
	cell.HostDue = !host.On && a.host.off == ""
	for _, f := range a.standing() {
		cell.Faults = append(cell.Faults, doctor.Fault{What: f.What, Text: f.Text})
	}
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
		Name: a.cfg.Cell, Bridge: a.cfg.Bridge, Userspace: a.alone(), UnderlayIP: vtep, Tunnel: tunnelPort, UDPPort: a.lease.wire.VXLANPort,
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

// answerDoctor answers with a look that begins now, or when that under way ends:
// who has just mended something wants to see it. All who wait share one.
func (a *Agent) answerDoctor(w http.ResponseWriter, r *http.Request) {
	answer := make(chan api.Checkup, 1)
	a.post(r.Context(), func() { a.checkup.asked = append(a.checkup.asked, answer) })
	select {
	case found := <-answer:
		w.Header().Set("Content-Type", "application/json")
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		_ = out.Encode(found) // the reader went away: nobody to tell
	case <-r.Context().Done():
	case <-a.lifetime.Done():
	}
}
