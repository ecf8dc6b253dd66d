package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/testbed/mariadb"
)

// build builds the real command once for a test.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weft-controller")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// process is a weft-controller that runs.
type process struct {
	cmd     *exec.Cmd
	client  *api.Client
	ended   chan error
	logText *strings.Builder // complete once ended has been read
}

// launch starts the command with the files that its own init made in dir, and
// returns when it says that it is ready.
func launch(t *testing.T, binary, dir string, flags ...string) *process {
	t.Helper()
	p := &process{ended: make(chan error, 1), logText: &strings.Builder{}}
	p.cmd = exec.Command(binary, append(flags, "--config", filepath.Join(dir, "weft-controller.yaml"), "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0")...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // fails if it has ended, as it should
	ready := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(p.logText, lines.Text())
			var line struct{ Msg, Listen string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
				ready <- line.Listen
			}
		}
		p.ended <- p.cmd.Wait()
	}()
	select {
	case address := <-ready:
		token, err := os.ReadFile(filepath.Join(dir, "token"))
		if err != nil {
			t.Fatal(err)
		}
		p.client = api.NewClient("http://"+address, strings.TrimSpace(string(token)))
	case err := <-p.ended:
		t.Fatalf("ended before it was ready: %v\n%s", err, p.logText)
	case <-time.After(20 * time.Second):
		t.Fatal("not ready after 20s")
	}
	return p
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
}

// load writes until its context ends, whatever fails: policies of its own
// numbers, added and half of them removed again.
type load struct {
	mu      sync.Mutex
	added   map[string]bool // acknowledged, and not asked to be removed since
	removed map[string]bool // removal acknowledged
	unknown map[string]bool // asked for, not acknowledged either way
	rounds  int
}

func newLoad() *load {
	return &load{added: map[string]bool{}, removed: map[string]bool{}, unknown: map[string]bool{}}
}

func (l *load) worker(ctx context.Context, client *api.Client, name string) {
	for i := 0; ctx.Err() == nil; i++ {
		source := fmt.Sprintf("%s-%d", name, i)
		l.move(source, l.unknown)
		if _, err := client.AddPolicies(ctx, one(source), api.Wait{}); err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		l.move(source, l.added)
		if i%2 == 1 {
			continue
		}
		l.move(source, l.unknown)
		if _, err := client.RemovePolicies(ctx, one(source), api.Wait{}); err == nil {
			l.move(source, l.removed)
		}
	}
}

// run writes from four workers while kill does its work at any moment of a write.
func (l *load) run(t *testing.T, client *api.Client, kill func()) {
	t.Helper()
	l.rounds++
	before := len(l.added) + len(l.removed)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() { l.worker(ctx, client, fmt.Sprintf("round%d-worker%d", l.rounds, w)) })
	}
	time.Sleep(300*time.Millisecond + rand.N(200*time.Millisecond))
	kill()
	stop()
	all.Wait()
	if len(l.added)+len(l.removed) == before {
		t.Errorf("round %d: nothing was acknowledged", l.rounds)
	}
}

// check finds what was acknowledged, and nothing that nobody asked for.
func (l *load) check(t *testing.T, client *api.Client) {
	t.Helper()
	list, err := client.Policies(t.Context(), api.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, policy := range list.Policies {
		there[policy.Source.ID] = true
		if !l.added[policy.Source.ID] && !l.unknown[policy.Source.ID] {
			t.Errorf("round %d: %s is there, and its removal was acknowledged: %v", l.rounds, policy.Source.ID, l.removed[policy.Source.ID])
		}
	}
	for source := range l.added {
		if !there[source] {
			t.Errorf("round %d: %s was acknowledged and is gone", l.rounds, source)
		}
	}
}

func (l *load) move(source string, to map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, set := range []map[string]bool{l.added, l.removed, l.unknown} {
		delete(set, source)
	}
	to[source] = true
}

func one(source string) []api.PolicyBody {
	return []api.PolicyBody{{
		Source:      api.Source{ID: source},
		Destination: api.Destination{ID: "sink", Protocol: "tcp", Ports: api.Ports{Start: 80, End: 80}},
	}}
}

// initialized is a built command and the folder that its init made.
func initialized(t *testing.T) (binary, dir string) {
	t.Helper()
	binary, dir = build(t), t.TempDir()
	if out, err := exec.Command(binary, "init", "--dir", dir, "--cells", "cell-1").CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	return binary, dir
}

// TestNothingAcknowledgedIsLost: SIGKILL under write load, three times. After
// each, what was acknowledged is so, and nothing is there that nobody asked for.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	binary, dir := initialized(t)
	l := newLoad()
	for range 3 {
		p := launch(t, binary, dir)
		l.run(t, p.client, func() { p.kill(t) })
		p = launch(t, binary, dir)
		l.check(t, p.client)
		p.kill(t)
	}
	t.Logf("%d kills, %d policies acknowledged, %d in doubt, none lost", 2*l.rounds, len(l.added)+len(l.removed), len(l.unknown))
}

// TestNothingAcknowledgedIsLostWithTheServer: the same with MariaDB, of the
// controller, of the database server, and of both. A controller whose server
// comes back goes on by itself.
func TestNothingAcknowledgedIsLostWithTheServer(t *testing.T) {
	binary, dir := initialized(t)
	server, err := mariadb.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Remove)
	if err := server.Exec("", "CREATE DATABASE weft"); err != nil {
		t.Fatal(err)
	}
	start := func() *process { return launch(t, binary, dir, "--database", server.TCP("weft")) }
	serve := func() {
		if err := server.Run(); err != nil {
			t.Fatal(err)
		}
	}
	l := newLoad()
	p := start()
	for name, kill := range map[string]func(){
		"controller": func() { p.kill(t) },
		"server":     func() { server.Kill(); time.Sleep(50 * time.Millisecond); serve() },
		"both":       func() { server.Kill(); p.kill(t); serve() },
	} {
		l.run(t, p.client, kill)
		if name == "server" {
			l.run(t, p.client, func() {}) // without a restart
			l.check(t, p.client)
			p.kill(t)
		}
		p = start()
		l.check(t, p.client)
	}
	p.kill(t)
	if strings.Contains(p.logText.String(), mariadb.Password) {
		t.Error("the log holds the database's password")
	}
	t.Logf("%d policies acknowledged, %d in doubt, none lost", len(l.added)+len(l.removed), len(l.unknown))
}

// TestSIGTERM: a graceful end with status 0, and a database without leftovers.
func TestSIGTERM(t *testing.T) {
	binary, dir := initialized(t)
	p := launch(t, binary, dir)
	if _, err := p.client.AddPolicies(t.Context(), one("cats"), api.Wait{}); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		if err != nil || !strings.Contains(p.logText.String(), `"msg":"stopped"`) {
			t.Errorf("ended with %v; log:\n%s", err, p.logText)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("still there 10s after SIGTERM")
	}
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	if err != nil || strings.Contains(p.logText.String(), strings.TrimSpace(string(token))) {
		t.Errorf("the log holds the token, or there is none: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "weft.db-wal")); !os.IsNotExist(err) {
		t.Errorf("the write-ahead log was not folded in: %v", err)
	}
}
