package cellagent

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// The OpenFlow messages that the link speaks: 8 bytes of version, type, length
// and transaction, then a body (OpenFlow 1.4 section 7.1).
const (
	openflowVersion   = 5 // 1.4, as ofctl.go
	openflowHello     = 0
	openflowEchoAsk   = 2
	openflowEchoReply = 3
	openflowHeader    = 8 // bytes
)

// How the link looks for the switch: at first often, since a restart of
// ovs-vswitchd is over in a fraction of a second and every moment without
// flows is lost traffic; then seldom.
const (
	linkRetryQuick  = 5 * time.Millisecond
	linkRetrySlow   = 200 * time.Millisecond
	linkQuickPeriod = 10 * time.Second
	linkEchoEvery   = 5 * time.Second  // asks the switch whether it lives
	linkSilence     = 15 * time.Second // without any answer the switch is lost
)

// watchSwitch keeps an OpenFlow connection to the bridge for one purpose: to
// notice at once that ovs-vswitchd, or the bridge, is gone or back. It calls
// up after each connection and down, with the reason, after each loss, until
// ctx ends. The end of ovs-vswitchd closes the connection within a
// millisecond, long before the database shows anything.
func watchSwitch(ctx context.Context, socket string, up func(), down func(error)) {
	lost := time.Now()
	for ctx.Err() == nil {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			err = holdSwitch(ctx, conn, up)
			if ctx.Err() != nil {
				return
			}
			down(err)
			lost = time.Now()
		}
		retry := linkRetryQuick
		if time.Since(lost) > linkQuickPeriod {
			retry = linkRetrySlow
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

// holdSwitch greets, calls up once the switch has greeted back, and answers
// until the connection ends; its error is never nil.
func holdSwitch(ctx context.Context, conn net.Conn, up func()) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	if err := sendOpenFlow(conn, openflowHello, 1, nil); err != nil {
		return err
	}
	asked := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	defer func() { cancel(); <-asked }()
	go func() {
		defer close(asked)
		askForEchoes(ctx, conn)
	}()
	for {
		kind, xid, body, err := receiveOpenFlow(conn)
		if err != nil {
			return err
		}
		switch kind {
		case openflowHello:
			up()
		case openflowEchoAsk:
			if err := sendOpenFlow(conn, openflowEchoReply, xid, body); err != nil {
				return err
			}
		}
	}
}

// askForEchoes keeps the connection from being silent while the switch lives.
func askForEchoes(ctx context.Context, conn net.Conn) {
	tick := time.NewTicker(linkEchoEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if sendOpenFlow(conn, openflowEchoAsk, 2, nil) != nil {
				return // the reader notices too
			}
		}
	}
}

func sendOpenFlow(conn net.Conn, kind byte, xid uint32, body []byte) error {
	msg := make([]byte, openflowHeader, openflowHeader+len(body))
	msg[0], msg[1] = openflowVersion, kind
	binary.BigEndian.PutUint16(msg[2:], uint16(openflowHeader+len(body)))
	binary.BigEndian.PutUint32(msg[4:], xid)
	conn.SetWriteDeadline(time.Now().Add(linkSilence))
	if _, err := conn.Write(append(msg, body...)); err != nil {
		return fmt.Errorf("write to the switch: %w", err)
	}
	return nil
}

// receiveOpenFlow waits for one message. We ask for echoes, so a long silence
// means that the switch hangs.
func receiveOpenFlow(conn net.Conn) (kind byte, xid uint32, body []byte, err error) {
	conn.SetReadDeadline(time.Now().Add(linkSilence))
	var header [openflowHeader]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return 0, 0, nil, fmt.Errorf("read from the switch: %w", err)
	}
	size := int(binary.BigEndian.Uint16(header[2:])) - openflowHeader
	if size < 0 {
		return 0, 0, nil, fmt.Errorf("read from the switch: message of %d bytes", size+openflowHeader)
	}
	body = make([]byte, size)
	if _, err := io.ReadFull(conn, body); err != nil {
		return 0, 0, nil, fmt.Errorf("read from the switch: %w", err)
	}
	return header[1], binary.BigEndian.Uint32(header[4:]), body, nil
}
