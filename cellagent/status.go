package cellagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent/flowlog"
	"github.com/weft-sdn/weft/debug"
	"github.com/weft-sdn/weft/flows"
)

// Status is what an agent tells about itself on its socket, for people and for
// failure reports.
type Status struct {
	Cell       string    `json:"cell"`
	Started    time.Time `json:"started"`
	Bridge     string    `json:"bridge"`
	Datapath   string    `json:"datapath"` // "system" or "netdev"
	Controller string    `json:"controller"`
	Connected  bool      `json:"connected"`      // a stream is open and its snapshot is here
	Away       string    `json:"away,omitempty"` // why not
	Switch     bool      `json:"switch"`         // it answers over the OpenFlow connection; if not, nothing is known of its flows
	Subnet     string    `json:"subnet,omitempty"`
	Denied     string    `json:"denied,omitempty"` // why the controller does not give it any more
	MTU        int       `json:"mtu,omitempty"`    // of containers, bytes
	Draining   bool      `json:"draining,omitempty"`
	Refuses    string    `json:"refuses,omitempty"` // why no container can be attached now

	Revision uint64 `json:"revision"` // of the table that is wanted
	Applied  uint64 `json:"applied"`  // revision that the switch last held entirely
	Hash     string `json:"hash,omitempty"`
	InStep   bool   `json:"in_step"` // the switch holds exactly what is wanted, by a comparison made for this answer
	Want     int    `json:"want"`    // flows
	Have     int    `json:"have"`    // flows

	Missing   []string         `json:"missing,omitempty"` // wanted flows that the switch does not hold
	Foreign   []string         `json:"foreign,omitempty"` // flows that it holds and that are not wanted
	Endpoints []EndpointStatus `json:"endpoints"`
	Host      HostStatus       `json:"host"`
	Faults    []Fault          `json:"faults,omitempty"`   // what does not work at present
	Findings  []api.Finding    `json:"findings,omitempty"` // what was wrong with the host when it was last looked at
	Counters  Counters         `json:"counters"`
	FlowLog   flowlog.Counters `json:"flow_log"`
	Conntrack TrackerCounters  `json:"conntrack"`
}

// EndpointStatus is a container's port.
type EndpointStatus struct {
	Container string `json:"container"`
	App       string `json:"app"`
	IP        string `json:"ip"`
	Port      string `json:"port"` // name of the host end
	OFPort    int    `json:"ofport"`
	Installed bool   `json:"installed"` // the switch has acknowledged its flows
	Ready     bool   `json:"ready"`     // and weft-cni was told
	Error     string `json:"error,omitempty"`
}

// Fault is something that does not work; it is retried.
type Fault struct {
	What  string    `json:"what"`
	Text  string    `json:"text"`
	Since time.Time `json:"since"`
}

// Counters count since the agent's start.
type Counters struct {
	FlowMods          uint64 `json:"flow_mods"`     // flows added and removed
	Bundles           uint64 `json:"bundles"`       // atomic changes of the switch
	OfctlBundles      uint64 `json:"ofctl_bundles"` // those that went by ovs-ofctl, for what the agent has no encoding for, or a dump no words
	Reconciles        uint64 `json:"reconciles"`
	Drift             uint64 `json:"drift"`              // flows repaired that the switch had acknowledged, or that are foreign
	SwitchConnections uint64 `json:"switch_connections"` // 1, and one more for each restart of ovs-vswitchd
	LastGoodInstalls  uint64 `json:"last_good_installs"` // times the file of the last good table was needed
}

// statusPatience bounds waiting for the switch: an agent whose switch hangs
// must be able to say so.
const statusPatience = 3 * time.Second

// maxListed bounds the flows listed in a status.
const maxListed = 200

// status asks the switch what it holds and compares.
func (a *Agent) status(ctx context.Context) Status {
	s := Status{
		Cell: a.cfg.Cell, Started: a.started, Bridge: a.cfg.Bridge, Datapath: "system", Controller: a.cfg.Controller,
		Connected: a.stream != nil && a.stream.id != "", Away: a.away(), Switch: a.linked && a.faults["switch"] == nil,
		Subnet: a.lease.wire.Subnet, Denied: a.denied, MTU: a.mtu,
		Draining: a.draining, Refuses: a.closure(time.Now()).reason,
		Revision: a.want.revision, Applied: a.applied, Endpoints: []EndpointStatus{}, Counters: a.counts,
		FlowLog: a.notices.log.Counters(), Conntrack: a.notices.tracker.counters(),
		Host: a.hostStatus(), Faults: a.standing(), Findings: a.checkup.wrong,
	}
	if a.alone() {
		s.Datapath = DatapathAlone
	}
	if a.want.complete {
		s.Hash = a.want.hash.String()
	}
	for _, p := range a.ports {
		_, holds := a.held[flows.EndpointKey(p.Container)]
		s.Endpoints = append(s.Endpoints, EndpointStatus{
			Container: p.Container, App: p.App, IP: p.IP.String(), Port: p.Name, OFPort: p.OFPort,
			Installed: holds, Ready: p.Ready, Error: p.Error,
		})
	}
	a.compare(ctx, &s)
	return s
}

// standing is what does not work at present, by name.
func (a *Agent) standing() []Fault {
	var all []Fault
	for what, f := range a.faults {
		all = append(all, Fault{What: what, Text: f.Text, Since: f.Since})
	}
	slices.SortFunc(all, func(x, y Fault) int { return strings.Compare(x.What, y.What) })
	return all
}

// compare adds what the switch holds, as it is now.
func (a *Agent) compare(ctx context.Context, s *Status) {
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	want := a.admissible(a.want)
	s.Want = want.flows()
	if !s.Switch {
		return // a fault says why, and it would be asked in vain
	}
	have, same, err := a.sw.Compare(ctx, want.list())
	if err != nil {
		s.Faults = append(s.Faults, Fault{What: "status", Text: err.Error(), Since: time.Now()})
		return
	}
	if same {
		s.Have, s.InStep = s.Want, a.want.complete
		return
	}
	s.Have = len(have)
	if !a.want.complete {
		return // nothing is foreign while it is not known what is wanted
	}
	missing, foreign := flows.Diff(have, a.table(want))
	s.Missing, s.Foreign = listed(missing), listed(foreign)
	s.InStep = len(missing)+len(foreign) == 0
}

func listed(all []flows.Flow) []string {
	var out []string
	for _, f := range all[:min(len(all), maxListed)] {
		out = append(out, f.String())
	}
	return out
}

// serveStatus answers GET /status and GET /doctor on the unix socket until the
// agent ends.
func (a *Agent) serveStatus() error {
	if err := os.MkdirAll(filepath.Dir(a.cfg.Socket), 0o755); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if conn, err := net.Dial("unix", a.cfg.Socket); err == nil {
		conn.Close()
		return fmt.Errorf("socket %s: another weft-agent answers on it", a.cfg.Socket)
	}
	if err := os.Remove(a.cfg.Socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("socket: %w", err)
	}
	listener, err := net.Listen("unix", a.cfg.Socket)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", a.answerStatus)
	mux.HandleFunc("GET /doctor", a.answerDoctor)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: heartbeat}
	a.spawn(func(context.Context) { _ = server.Serve(listener) }) // ends with Close below
	a.spawn(func(ctx context.Context) {
		<-ctx.Done()
		server.Close()
	})
	return nil
}

// serveDebug shows profiles and metrics where the configuration says, until the
// agent ends.
func (a *Agent) serveDebug() error {
	if a.cfg.DebugListen == "" {
		return nil
	}
	listener, err := debug.Listen(a.cfg.DebugListen)
	if err != nil {
		return fmt.Errorf("debug_listen: %w", err)
	}
	a.log.Info("debug", "listen", listener.Addr().String())
	a.spawn(func(ctx context.Context) {
		if err := debug.Serve(ctx, listener); err != nil {
			a.log.Error("debug", "error", err)
		}
	})
	return nil
}

// answerStatus has the owner of the state make the status.
func (a *Agent) answerStatus(w http.ResponseWriter, r *http.Request) {
	answer := make(chan Status, 1)
	a.post(r.Context(), func() { answer <- a.status(r.Context()) })
	select {
	case s := <-answer:
		if err := s.Host.inspect(r.Context(), &a.host.net); err != nil {
			s.Faults = append(s.Faults, Fault{What: "status", Text: err.Error(), Since: time.Now()})
		}
		w.Header().Set("Content-Type", "application/json")
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		_ = out.Encode(s) // the reader went away: nobody to tell
	case <-r.Context().Done():
	case <-a.lifetime.Done():
	}
}

// FetchStatus asks the agent that listens on socket.
func FetchStatus(ctx context.Context, socket string) (Status, error) {
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent/status", nil)
	if err != nil {
		return Status{}, err
	}
	response, err := client.Do(request)
	if at := (*url.Error)(nil); errors.As(err, &at) {
		err = at.Err // its URL is none that anybody knows
	}
	if err != nil {
		return Status{}, fmt.Errorf("ask the agent at %s (is weft-agent running?): %w", socket, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return Status{}, fmt.Errorf("ask the agent at %s: %s", socket, response.Status)
	}
	var s Status
	if err := json.NewDecoder(response.Body).Decode(&s); err != nil {
		return Status{}, fmt.Errorf("ask the agent at %s: %w", socket, err)
	}
	return s, nil
}
