package server_test

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
)

// cable carries connections to a server until it is cut: then both ends are
// left without a word, as by a host whose address is gone.
type cable struct {
	net.Listener
	cut atomic.Bool
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{Listener: listener}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			t.Cleanup(func() { near.Close(); far.Close() })
			go c.carry(near, far)
			go c.carry(far, near)
		}
	}()
	return c
}

// carry passes on what comes, or swallows it.
func (c *cable) carry(to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if !c.cut.Load() {
			_, _ = to.Write(buf[:n])
		}
	}
}

// TestCellGetsAnotherAddress: its old connection is never closed, and it is let
// in from its new address when the controller's pings have found that out.
func TestCellGetsAnotherAddress(t *testing.T) {
	dir, config := install(t)
	s := run(t, config)
	tlsConfig, err := api.ClientTLS(keys(dir, "cell-1"))
	if err != nil {
		t.Fatal(err)
	}
	cable := newCable(t, s.Internal.String())
	old := api.NewAgentClient("https://"+cable.Addr().String(), tlsConfig)
	if _, err := old.Lease(t.Context(), api.LeaseRequest{VTEP: "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	stream, err := old.Open(t.Context(), api.Hello{VTEP: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if _, err := stream.Next(); err != nil {
		t.Fatal(err)
	}
	cable.cut.Store(true)
	began, agent := time.Now(), agentClient(t, s, dir, "cell-1")
	defer agent.Close()
	for refused := 0; ; refused++ {
		_, err := agent.Lease(t.Context(), api.LeaseRequest{VTEP: "192.0.2.101"})
		took := time.Since(began)
		if err == nil {
			t.Logf("let in after %v, refused %d times", took.Round(time.Millisecond), refused)
			if refused == 0 {
				t.Error("it was let in while the other was connected")
			}
			return
		}
		if !strings.Contains(err.Error(), "cell cell-1 is connected from 192.0.2.1") || took > 25*time.Second {
			t.Fatalf("after %v: %v", took, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
