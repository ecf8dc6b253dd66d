package cni_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
)

// detour leads plugins to ovsdb-server, whose answers come late by it, and end
// after some.
type detour struct {
	listener net.Listener
	server   string
	late     time.Duration // each answer
	left     atomic.Int64  // answers
	visitors atomic.Int64  // connections so far
}

// detour has the cell's configuration name one, until the returned function is
// called.
func (c *cell) detour(late time.Duration, answers int64) (d *detour, straight func()) {
	c.t.Helper()
	path := filepath.Join(c.dir, "detour.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { listener.Close() })
	d = &detour{listener: listener, server: strings.TrimPrefix(c.sw.DB(), "unix:"), late: late}
	d.left.Store(answers)
	go func() {
		for {
			plugin, err := listener.Accept()
			if err != nil {
				return // it is closed
			}
			d.visitors.Add(1)
			go d.lead(plugin)
		}
	}()
	direct := c.conf["ovsdb"]
	c.conf["ovsdb"] = "unix:" + path
	return d, func() { c.conf["ovsdb"] = direct }
}

// lead ends with the connection of either side.
func (d *detour) lead(plugin net.Conn) {
	defer plugin.Close()
	server, err := net.Dial("unix", d.server)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, plugin)
		server.Close()
	}()
	for answer := make([]byte, 64<<10); ; {
		n, err := server.Read(answer)
		if err != nil {
			return
		}
		if d.left.Add(-1) < 0 {
			d.listener.Close()
			return
		}
		<-time.After(d.late)
		if _, err := plugin.Write(answer[:n]); err != nil {
			return
		}
	}
}

// TestGCOfManyTakesItsTime: as long as each is removed in time, and over one
// connection.
func TestGCOfManyTakesItsTime(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	const many = 30
	for i := range many {
		c.container(fmt.Sprintf("forgotten-%d", i)).attached("weft")
	}
	d, _ := c.detour(100*time.Millisecond, 1000)
	begin := time.Now()
	if err := c.gc("weft"); err != nil {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
	if took := time.Since(begin); took < 5*time.Second {
		t.Errorf("it took %v: too short to prove anything", took)
	}
	if n := d.visitors.Load(); n != 1 {
		t.Errorf("it made %d connections, expected one", n)
	}
	c.mustBeEmpty()
}

// TestGCSaysHowFarItCame: the database goes away in its midst, and the next GC
// removes the others.
func TestGCSaysHowFarItCame(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	for i := range 10 {
		c.container(fmt.Sprintf("forgotten-%d", i)).attached("weft")
	}
	_, straight := c.detour(0, 9)
	err := c.gc("weft")
	refused(t, err, 11, "attachments had left: ")
	var said *types.Error
	if errors.As(err, &said); !regexp.MustCompile(`^removed what [1-9] of 10 attachments`).MatchString(said.Msg) || !strings.Contains(said.Details, "call GC again") {
		t.Errorf("it says %+v", said)
	}
	if len(c.remains()) == 0 {
		t.Error("nothing is left")
	}
	straight()
	if err := c.gc("weft"); err != nil {
		t.Error(err)
	}
	c.mustBeEmpty()
}
