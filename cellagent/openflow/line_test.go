package openflow

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// line is a socket in front of a switch's, for tests that look at what passes or
// add to it. What it carries is between a real switch and a real client.
type line struct {
	socket   string
	toSwitch watcher
	listener net.Listener
	carrying sync.WaitGroup
}

// watcher sees each message to the switch before it goes on, which it does not if
// the watcher returns false. It may write messages of its own to the client.
type watcher func(m message, client net.Conn) (goesOn bool)

// line stretches one to the bridge, until the test's end.
func (r *rig) line(toSwitch watcher) *line {
	r.t.Helper()
	dir, err := os.MkdirTemp("", "line") // a socket's path is short
	if err != nil {
		r.t.Fatal(err)
	}
	l := &line{socket: filepath.Join(dir, "mgmt"), toSwitch: toSwitch}
	if l.listener, err = net.Listen("unix", l.socket); err != nil {
		r.t.Fatal(err)
	}
	target := r.socket()
	l.carrying.Go(func() { l.accept(target) })
	r.t.Cleanup(func() {
		l.listener.Close()
		l.carrying.Wait()
		os.RemoveAll(dir)
	})
	return l
}

func (l *line) accept(target string) {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		sw, err := net.Dial("unix", target)
		if err != nil {
			client.Close()
			continue
		}
		l.carrying.Go(func() { carry(client, sw, l.toSwitch) })
		l.carrying.Go(func() { carry(sw, client, func(message, net.Conn) bool { return true }) })
	}
}

// carry moves whole messages one way until either side ends.
func carry(from, to net.Conn, see watcher) {
	defer from.Close()
	defer to.Close()
	in := bufio.NewReaderSize(from, 1<<16)
	for {
		m, err := readMessage(in)
		if err != nil {
			return
		}
		if !see(m, from) {
			continue
		}
		again := appendMessage(nil, m.kind, m.xid, m.body...)
		again[0] = m.version
		if _, err := to.Write(again); err != nil {
			return
		}
	}
}
