package cli

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/controller/server"
)

// connected is an agent with two containers, which acknowledges all that it is
// told. It ends with its stream.
type connected struct {
	*api.AgentClient
	stream chan string // its id, once the snapshot is here
	told   chan bool   // whether the cell is to be drained, each time that it is told
	over   chan error
}

func connect(t *testing.T, s *server.Server, dir, cell string) *connected {
	t.Helper()
	cells, err := pki.ParseCells(cell)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Init(pki.Request{Dir: dir, Cells: cells, ControllerNames: []string{"127.0.0.1"}, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	keys, err := api.ClientTLS(api.KeyFiles{
		Cert: filepath.Join(dir, pki.CellCert(cells[0].ID)), Key: filepath.Join(dir, pki.CellKey(cells[0].ID)), CA: filepath.Join(dir, pki.AuthorityCert),
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &connected{
		AgentClient: api.NewAgentClient("https://"+s.Internal.String(), keys),
		stream:      make(chan string, 1), told: make(chan bool, 10), over: make(chan error, 1),
	}
	if _, err := a.Lease(t.Context(), api.LeaseRequest{VTEP: "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	stream, err := a.Open(t.Context(), api.Hello{VTEP: "192.0.2.1", Endpoints: []api.Endpoint{
		{Container: "c1", IP: "10.255.1.2", OFPort: 10}, {Container: "c2", IP: "10.255.1.3", OFPort: 11},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stream.Close)
	go func() { a.over <- a.obey(t.Context(), stream) }()
	return a
}

func (a *connected) obey(ctx context.Context, stream *api.AgentStream) error {
	var id string
	for {
		msg, err := stream.Next()
		if err != nil {
			return err
		}
		if id == "" {
			id = msg.Stream
			a.stream <- id
		}
		if msg.Draining != nil {
			a.told <- *msg.Draining
		}
		if err := a.Acknowledge(ctx, api.Applied{Stream: id, Seq: msg.Seq}); err != nil {
			return err
		}
	}
}

// TestDrain: weft cells drain tells what is left of a real controller's cell,
// and ends when that has no lease any more.
func TestDrain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "controller")
	config, err := install(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Start(context.Background(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop() }() // it says nothing that this test is about
	a := connect(t, s, dir, "cell-1")
	stream := <-a.stream
	weft := func(args ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), filepath.Join(bin, "weft"), append(args, "--api", "http://"+s.External.String(), "--token-file", config.Auth.TokenFile)...)
	}

	out, err := weft("cells", "drain", "cell-1", "--timeout", "1ms").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "weft: cell-1 is not drained after 1ms: 2 containers are left; the drain goes on") {
		t.Errorf("at the timeout: %v: %s", err, out)
	}
	if !<-a.told {
		t.Error("the agent was told that it may go on")
	}

	a.watchDrain(t, weft("cells", "drain", "cell-1"), stream)
	if err := <-a.over; !errors.Is(err, api.ErrGone) && !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("the stream of a drained cell ended with %v", err)
	}
	if _, err := a.Lease(t.Context(), api.LeaseRequest{VTEP: "192.0.2.1"}); !errors.Is(err, api.ErrConflict) {
		t.Errorf("a drained cell asks for a lease: %v", err)
	}
	if out, err := weft("cells", "remove", "cell-1").CombinedOutput(); err == nil || !strings.Contains(string(out), "cell cell-1 is drained, and its agent was heard of") {
		t.Errorf("removing a drained cell whose agent runs: %v: %s", err, out)
	}
	if out, err := weft("cells").CombinedOutput(); err != nil || !strings.Contains(string(out), "cell-1  -     -       drained  ") {
		t.Errorf("the listing: %v\n%s", err, out)
	}
	if out, err := weft("cells", "undrain", "cell-1").CombinedOutput(); err != nil {
		t.Errorf("undrain: %v: %s", err, out)
	}
	if lease, err := a.Lease(t.Context(), api.LeaseRequest{VTEP: "192.0.2.1"}); err != nil || lease.Subnet != "10.255.1.0/24" {
		t.Errorf("let in again: %+v, %v", lease, err)
	}
	if out, err := weft("audit", "--by", "token").CombinedOutput(); err != nil || !strings.Contains(string(out), "cell cell-1 is to be drained") {
		t.Errorf("who did it: %v\n%s", err, out)
	}
}

// watchDrain runs weft cells drain, and ends a container for each line that it
// says.
func (a *connected) watchDrain(t *testing.T, drain *exec.Cmd, stream string) {
	t.Helper()
	pipe, err := drain.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := drain.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	for i, want := range []string{
		"cell-1: 2 containers are left", "cell-1: 1 container is left",
		"cell-1 is drained: its lease has ended. weft cells undrain cell-1 lets it in again.",
	} {
		more := lines.Scan()
		if more && strings.HasSuffix(lines.Text(), ": no container is left; waiting for its agent to confirm") { // for a moment
			more = lines.Scan()
		}
		if !more || lines.Text() != want {
			t.Fatalf("line %d is %q, want %q", i, lines.Text(), want)
		}
		if i < 2 {
			if err := a.Report(t.Context(), api.EndpointsReport{Stream: stream, Down: []string{[]string{"c1", "c2"}[i]}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := drain.Wait(); err != nil {
		t.Errorf("weft cells drain: %v", err)
	}
}
