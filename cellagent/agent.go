package cellagent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent/openflow"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/mirror"
)

// heartbeat is how often the agent looks for something to retry. Changes do
// not wait for it.
const heartbeat = time.Second

// Agent keeps one cell's bridge equal to the controller's table. One goroutine
// owns every field below events; all others send it functions to run.
type Agent struct {
	cfg      Config
	log      *slog.Logger
	client   *api.AgentClient
	ofctl    Switch // starts processes
	sw       Switch // over the OpenFlow connection, once there was one
	db       *mirror.Client
	lifetime context.Context
	running  sync.WaitGroup
	events   chan func()
	started  time.Time

	// The overlay.
	lease      lease
	configured bool       // bridge, tunnel and subnet file are as the lease wants
	mtu        int        // of containers, bytes; 0 until configured
	heardSaved time.Time  // what the lease's file says of when the controller was heard of
	denied     string     // why the controller gives the cell no lease; "" unless it said so
	draining   bool       // it wants no containers started here
	told       subnetFile // what the subnet file says; the zero value: unknown

	// The controller.
	attempt      uint64 // counts dials
	backoff      time.Duration
	toOpen       bool // there is a fresh lease; open a stream when the bridge is there
	stream       *stream
	offlineSince time.Time

	// What is wanted, what is there.
	want     desired
	narrow   bool          // nothing but policies has changed since the last advance
	journal  []api.Message // since the file of the last good table was written
	lastGood *lastGood     // nil while it is read
	fallback desired       // from that file; of use until a controller has said what is wanted
	ports    []ovsdb.Port
	seen     observation
	seenOf   source
	observed bool // seen is of this run, not the zero value
	linked   bool // the OpenFlow connection stands
	conn     *openflow.Conn
	missed   time.Time // since when it has not, though the database has the bridge; zero: it stands, or there is none
	looked   bool      // since then, whether the last good table is of use
	held     fragments
	dirty    map[flows.FragmentKey]bool // fragments that may differ between want and held
	verify   bool                       // audit what held says, or where nothing is held or all is blocked, try again
	audit    *audit                     // under way; nil: none
	suspect  bool                       // the switch differs from what it acknowledged
	blocked  bool                       // the switch refused want; wait for another, or for verify
	unknown  map[string]bool            // terms that the OpenFlow connection cannot say, once logged

	host    hostSide
	checkup checkup

	faults  map[string]*fault
	notices notices
	counts  Counters
	applied uint64 // revision that the switch last held entirely

	waitsSince map[string]time.Time // containers whose flows are there, and that wait for something else
}

// fault is something that does not work at present.
type fault struct {
	Text   string
	Since  time.Time
	logged time.Time
}

// Run keeps the cell's bridge in step until ctx ends. It leaves bridge, flows,
// ports and files as they are then. It returns an error only for what a
// restart with another configuration alone can cure: what may pass is retried,
// logged and shown in the status.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	tlsConfig, err := api.ClientTLS(api.KeyFiles{Cert: cfg.TLS.CertFile, Key: cfg.TLS.KeyFile, CA: cfg.TLS.CAFile})
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	if cfg.BootID == "" {
		if cfg.BootID, err = ovsdb.BootID(); err != nil {
			return fmt.Errorf("boot id: %w", err)
		}
	}
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ofctl := NewSwitch(cfg.OVSOfctl, cfg.ManagementSocket())
	a := &Agent{
		cfg: cfg, log: log.With("cell", cfg.Cell), lifetime: ctx, started: time.Now(),
		client: api.NewAgentClient(cfg.Controller, tlsConfig), ofctl: ofctl, sw: ofctl,
		events: make(chan func(), 64), backoff: redialFirst, offlineSince: time.Now(),
		dirty: map[flows.FragmentKey]bool{}, unknown: map[string]bool{}, faults: map[string]*fault{}, waitsSince: map[string]time.Time{},
	}
	defer a.client.Close()
	defer a.running.Wait()
	defer cancel()
	if err := a.serveStatus(); err != nil {
		return err
	}
	if err := a.serveDebug(); err != nil {
		return err
	}
	a.remember()
	a.checkup.due = true
	a.startNotices()
	a.spawn(a.dialOVSDB)
	a.spawn(func(ctx context.Context) {
		watchSwitch(ctx, cfg.ManagementSocket(),
			func(conn *openflow.Conn) { a.post(ctx, func() { a.switchUp(conn) }) },
			func(err error) { a.post(ctx, func() { a.switchDown(err) }) })
	})
	a.loop(ctx)
	return nil
}

// remember reads what an earlier run left on disk: the last good table, which may
// be large, while switch, database and controller are called.
func (a *Agent) remember() {
	var err error
	a.lease, err = loadLease(a.cfg.StateDir, a.cfg.Cell)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	a.fault("disk", err)
	a.spawn(func(ctx context.Context) {
		file, table, err := openLastGood(a.cfg.StateDir, a.cfg.Cell)
		a.post(ctx, func() {
			a.lastGood, a.fallback = file, table
			if err != nil {
				a.log.Warn("last good table not used", "error", err)
			}
		})
	})
}

// loop is the only goroutine that touches the agent's state.
func (a *Agent) loop(ctx context.Context) {
	retry := time.NewTicker(heartbeat)
	defer retry.Stop()
	compare := time.NewTicker(a.cfg.Reconcile)
	defer compare.Stop()
	for {
		var changes <-chan struct{}
		if a.db != nil {
			changes = a.db.Changes()
		}
		select {
		case <-ctx.Done():
			a.log.Info("ends; bridge and flows stay as they are")
			return
		case event := <-a.events:
			a.narrow = true
			a.take(event)
		case <-changes:
			a.observed, a.narrow = false, false
		case <-retry.C:
			a.narrow = false
		case <-compare.C:
			a.narrow = false
			a.verify, a.configured, a.told = true, false, subnetFile{}
			a.checkup.due = true
		}
		a.drain()
		a.advance(ctx)
	}
}

// drain takes what else has happened meanwhile, so that many changes cost one
// bundle.
func (a *Agent) drain() {
	for {
		select {
		case event := <-a.events:
			a.take(event)
		default:
			return
		}
	}
}

// take runs an event. Only one that says so leaves the next advance narrow.
func (a *Agent) take(event func()) {
	narrow := a.narrow
	a.narrow = false
	event()
	a.narrow = a.narrow && narrow
}

// advance does, in order, each step that is due. Every step is idempotent and
// is tried again at the next event or heartbeat if it fails.
func (a *Agent) advance(ctx context.Context) {
	a.heard(time.Now())
	ready := a.prepare(ctx)
	a.feelPulse(time.Now())
	a.tell()
	if ready { // else the database is away, and ovs-vswitchd answers nobody, or the bridge is not ours
		a.follow(ctx)
	}
	a.examine()
}

// follow does what takes the containers that run to be known.
func (a *Agent) follow(ctx context.Context) {
	if a.narrow && a.linked && a.faults["switch"] == nil { // on a cell with hundreds of containers most of the time goes where policies change nothing
		a.publish()
		a.install(ctx)
		return
	}
	if a.toOpen && a.mtu != 0 && a.lastGood != nil { // it says what we have, so nothing is wanted before that is read
		a.open()
	}
	a.report()
	a.fault("ports", a.tidy(ctx)) // while the controller thinks
	a.ensureHost()
	a.publish()
	if a.linked && a.faults["switch"] == nil { // else it would be waited for, and nobody told
		a.install(ctx)
	}
	a.fault("ready marks", a.confirm(ctx))
}

// prepare configures the bridge and observes the containers, and reports whether
// what is known of them is of now.
func (a *Agent) prepare(ctx context.Context) bool {
	if a.db == nil || !a.lease.subnet.IsValid() {
		return false
	}
	if !a.configured {
		err := a.configure(ctx)
		a.configured = !a.fault("bridge", err)
		a.host.due = true
		a.checkup.configured(err)
	}
	if a.observed {
		return true
	}
	err := a.observe()
	a.observed = err == nil
	if a.faults["bridge"] != nil && errors.Is(err, ovsdb.ErrNoBridge) {
		err = nil // that fault has the reason
	}
	a.fault("ovsdb", err)
	return a.observed
}

// dialOVSDB connects to ovsdb-server. Once it has, the client reconnects by
// itself.
func (a *Agent) dialOVSDB(ctx context.Context) {
	for {
		attempt, cancel := context.WithTimeout(ctx, configureTimeout)
		db, err := mirror.Dial(attempt, a.cfg.OVSDB)
		cancel()
		if err == nil {
			a.post(ctx, func() {
				a.db = db
				a.fault("ovsdb", nil)
				a.dial()
			})
			<-ctx.Done()
			db.Close()
			return
		}
		a.post(ctx, func() { a.fault("ovsdb", err) })
		select {
		case <-ctx.Done():
			return
		case <-time.After(heartbeat):
		}
	}
}

// spawn starts a goroutine that Run waits for.
func (a *Agent) spawn(f func(ctx context.Context)) {
	a.running.Add(1)
	go func() {
		defer a.running.Done()
		f(a.lifetime)
	}()
}

// post sends an event to the owner of the state, unless ctx ends first.
func (a *Agent) post(ctx context.Context, event func()) {
	select {
	case a.events <- event:
	case <-ctx.Done():
	}
}

// fault notes that something does not work, or works again when err is nil,
// and reports which. It is logged when its text changes and then once a minute.
func (a *Agent) fault(what string, err error) bool {
	old := a.faults[what]
	if err == nil {
		if old != nil {
			a.log.Info("works again: "+what, "after", time.Since(old.Since).Round(time.Millisecond))
			delete(a.faults, what)
		}
		return false
	}
	if old == nil {
		old = &fault{Since: time.Now()}
		a.faults[what] = old
	}
	if old.Text != err.Error() || time.Since(old.logged) > time.Minute {
		old.Text, old.logged = err.Error(), time.Now()
		a.log.Error(what, "error", err)
	}
	return true
}
