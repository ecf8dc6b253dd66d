package gormstore

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

// body is what one write did, as the change log keeps it: enough to follow,
// and for people to read who changed what.
type body struct {
	Groups   []groupBody  `json:"groups,omitempty"` // assigned, or given back out of quarantine
	Add      []policyBody `json:"add,omitempty"`
	Remove   []policyBody `json:"remove,omitempty"`
	Lease    *leaseBody   `json:"lease,omitempty"`    // granted, or moved to another VTEP
	Freed    []groupBody  `json:"freed,omitempty"`    // put into quarantine, when the change was made
	Released []groupBody  `json:"released,omitempty"` // may be given again
	Logging  *api.Logging `json:"logging,omitempty"`  // set

	Drain    *drainBody  `json:"drain,omitempty"`    // which may have ended the cell's lease
	Ended    []endedBody `json:"ended,omitempty"`    // leases, before Lease was granted
	Returned []string    `json:"returned,omitempty"` // cells that are known to the others again

	Describe         []policyBody        `json:"describe,omitempty"`           // only what describes them
	SecurityGroups   []api.SecurityGroup `json:"security_groups,omitempty"`    // new or changed
	NoSecurityGroups []string            `json:"no_security_groups,omitempty"` // removed, by GUID
}

type groupBody struct {
	Group uint16 `json:"group"`
	App   string `json:"app"`
	Type  string `json:"type,omitempty"` // "": an app's
}

type policyBody struct {
	ID        uint64 `json:"id"`
	From      string `json:"from"`
	To        string `json:"to"`
	FromGroup uint16 `json:"from_group"`
	ToGroup   uint16 `json:"to_group"`
	Protocol  uint8  `json:"protocol"`
	First     uint16 `json:"first"`
	Last      uint16 `json:"last"`

	Name        string            `json:"name,omitempty"`
	Description string            `json:"description,omitempty"`
	Set         string            `json:"set,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

type leaseBody struct {
	Cell      string `json:"cell"`
	Subnet    string `json:"subnet"`
	VTEP      string `json:"vtep"`
	Returning bool   `json:"returning,omitempty"`
}

type endedBody struct {
	Cell   string `json:"cell"`
	Subnet string `json:"subnet,omitempty"` // "": it had none, and was removed
	Why    string `json:"why"`              // unrenewed or one of the others
}

type drainBody struct {
	Cell string `json:"cell"`
	On   bool   `json:"on"` // it is to be drained; else that was taken back
}

func (b body) empty() bool {
	return len(b.Groups) == 0 && len(b.Add) == 0 && len(b.Remove) == 0 && b.Lease == nil &&
		len(b.Ended) == 0 && len(b.Returned) == 0 && b.Drain == nil &&
		len(b.Freed) == 0 && len(b.Released) == 0 && b.Logging == nil &&
		len(b.Describe) == 0 && len(b.SecurityGroups) == 0 && len(b.NoSecurityGroups) == 0
}

// apps are those whose policies the write changed, sorted.
func (b body) apps() []string {
	var apps []string
	for _, list := range [][]policyBody{b.Add, b.Remove, b.Describe} {
		for _, p := range list {
			apps = append(apps, p.From, p.To)
		}
	}
	slices.Sort(apps)
	return slices.Compact(apps)
}

// events are what the write did, for controller.State: row is its entry.
func (b body) events(row changeRow) ([]controller.Event, error) {
	at := time.UnixMilli(row.At)
	var events []controller.Event
	for _, g := range b.Groups {
		events = append(events, controller.GroupAssigned{App: flows.AppID(g.App), Group: flows.GroupID(g.Group), Type: g.Type})
	}
	for _, p := range b.Add {
		events = append(events, p.event(api.Origin{Creator: row.By, Created: at}))
	}
	for _, p := range b.Describe {
		events = append(events, controller.PolicyDescribed{ID: flows.PolicyID(p.ID), About: p.about()})
	}
	for _, p := range b.Remove {
		events = append(events, controller.PolicyRemoved{ID: flows.PolicyID(p.ID), Was: p.event(api.Origin{}).Policy()})
	}
	leases, err := b.leaseEvents()
	if err != nil {
		return nil, err
	}
	events = append(events, leases...)
	for _, g := range b.Freed {
		events = append(events, controller.GroupFreed{Group: flows.GroupID(g.Group), Revision: api.Revision(row.Revision), At: at})
	}
	for _, g := range b.Released {
		events = append(events, controller.GroupReleased{Group: flows.GroupID(g.Group)})
	}
	if b.Logging != nil {
		events = append(events, controller.LoggingSet{Logging: *b.Logging})
	}
	for _, g := range b.SecurityGroups {
		events = append(events, controller.SecurityGroupSet{Group: g})
	}
	for _, guid := range b.NoSecurityGroups {
		events = append(events, controller.SecurityGroupRemoved{GUID: guid})
	}
	return events, nil
}

// leaseEvents are what the write did to leases and drains.
func (b body) leaseEvents() (events []controller.Event, err error) {
	switch {
	case b.Drain == nil:
	case b.Drain.On:
		events = append(events, controller.DrainBegun{Cell: flows.CellID(b.Drain.Cell)})
	default:
		events = append(events, controller.DrainEnded{Cell: flows.CellID(b.Drain.Cell)})
	}
	for _, ended := range b.Ended {
		cell := flows.CellID(ended.Cell)
		switch ended.Why {
		case unrenewed:
			events = append(events, controller.LeaseExpired{Cell: cell})
		case removed:
			events = append(events, controller.LeaseReleased{Cell: cell}, controller.DrainEnded{Cell: cell})
		default:
			events = append(events, controller.LeaseReleased{Cell: cell})
		}
	}
	if b.Lease != nil {
		peer, err := b.Lease.peer()
		if err != nil {
			return nil, err
		}
		events = append(events, controller.LeaseGranted{Peer: peer, Returning: b.Lease.Returning})
	}
	for _, cell := range b.Returned {
		events = append(events, controller.CellReturned{Cell: flows.CellID(cell)})
	}
	return events, nil
}

func (p policyBody) event(origin api.Origin) controller.PolicyAdded {
	return controller.PolicyAdded{
		About: p.about(), Origin: origin,
		From: flows.AppID(p.From), To: flows.AppID(p.To),
		Rule: flows.Rule{
			Policy: flows.PolicyID(p.ID), From: flows.GroupID(p.FromGroup), To: flows.GroupID(p.ToGroup),
			Protocol: flows.Protocol(p.Protocol), Ports: flows.PortRange{First: p.First, Last: p.Last},
		},
	}
}

func (p policyBody) about() api.About {
	return api.About{Name: p.Name, Description: p.Description, Set: p.Set, Labels: p.Labels}
}

// peer parses a lease's text and holds what allocation promises of it.
func (l leaseBody) peer() (flows.Peer, error) {
	subnet, err := netip.ParsePrefix(l.Subnet)
	if err != nil || !subnet.Addr().Is4() || subnet != subnet.Masked() {
		return flows.Peer{}, fmt.Errorf("subnet %q: not an IPv4 network", l.Subnet)
	}
	vtep, err := netip.ParseAddr(l.VTEP)
	if err != nil || !vtep.Is4() {
		return flows.Peer{}, fmt.Errorf("vtep %q: not an IPv4 address", l.VTEP)
	}
	cell := flows.CellID(l.Cell)
	if err := api.CheckCell(cell); err != nil {
		return flows.Peer{}, err
	}
	return flows.Peer{Cell: cell, VTEP: vtep, Lease: subnet}, nil
}

func (b body) encode() (string, error) {
	text, err := json.Marshal(b)
	return string(text), err
}

func decodeBody(text string) (body, error) {
	var b body
	err := json.Unmarshal([]byte(text), &b)
	return b, err
}
