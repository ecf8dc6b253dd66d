package gauge

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// FlowCounter counts the flows of a bridge over an OpenFlow 1.4 connection that
// stays open, so that it can look while a switch is busy: a process of
// ovs-ofctl takes 6 ms to begin. It is for one goroutine.
type FlowCounter struct {
	conn net.Conn
	in   *bufio.Reader
	xid  uint32
}

// Messages of OpenFlow 1.4 (section A.1), and the statistics that add flows up.
const (
	version14        = 5
	typeHello        = 0
	typeEchoRequest  = 2
	typeEchoReply    = 3
	typeMultipart    = 18
	typeAnswer       = 19
	aggregate        = 2
	any32            = 0xffffffff // OFPP_ANY, OFPG_ANY
	allTables        = 0xff
	countPatience    = 10 * time.Second
	aggregateAnswers = 8 + 8 + 8 // where flow_count is in the body: after its head, packets and bytes
)

// CountFlows connects to a bridge's management socket.
func CountFlows(socket string) (*FlowCounter, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("connect to the bridge: %w", err)
	}
	c := &FlowCounter{conn: conn, in: bufio.NewReader(conn)}
	if err := c.write(typeHello, 0, nil); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the connection.
func (c *FlowCounter) Close() { c.conn.Close() }

// Count asks the switch how many flows there are in all tables.
func (c *FlowCounter) Count() (int, error) {
	body := binary.BigEndian.AppendUint16(nil, aggregate)
	body = append(body, make([]byte, 6)...)
	body = append(body, allTables, 0, 0, 0)
	body = binary.BigEndian.AppendUint32(body, any32)
	body = binary.BigEndian.AppendUint32(body, any32)
	body = append(body, make([]byte, 4+8+8)...) // padding, cookie, mask
	body = append(body, 0, 1, 0, 4, 0, 0, 0, 0) // a match of everything
	c.conn.SetDeadline(time.Now().Add(countPatience))
	if c.xid++; c.write(typeMultipart, c.xid, body) != nil {
		return 0, fmt.Errorf("count flows: the switch has ended the connection")
	}
	for {
		var head [8]byte
		if _, err := io.ReadFull(c.in, head[:]); err != nil {
			return 0, fmt.Errorf("count flows: %w", err)
		}
		answer := make([]byte, max(8, binary.BigEndian.Uint16(head[2:]))-8)
		if _, err := io.ReadFull(c.in, answer); err != nil {
			return 0, fmt.Errorf("count flows: %w", err)
		}
		switch head[1] {
		case typeEchoRequest:
			if err := c.write(typeEchoReply, binary.BigEndian.Uint32(head[4:]), answer); err != nil {
				return 0, err
			}
		case typeAnswer:
			if len(answer) >= aggregateAnswers+4 && binary.BigEndian.Uint16(answer) == aggregate {
				return int(binary.BigEndian.Uint32(answer[aggregateAnswers:])), nil
			}
		}
	}
}

func (c *FlowCounter) write(kind uint8, xid uint32, body []byte) error {
	msg := []byte{version14, kind}
	msg = binary.BigEndian.AppendUint16(msg, uint16(8+len(body)))
	msg = binary.BigEndian.AppendUint32(msg, xid)
	_, err := c.conn.Write(append(msg, body...))
	return err
}

// watchInterval is between two looks of Lowest.
const watchInterval = 2 * time.Millisecond

// Lowest watches a bridge until the returned function is called, which says how
// few flows it ever had meanwhile.
func Lowest(socket string) (stop func() (int, error), err error) {
	counter, err := CountFlows(socket)
	if err != nil {
		return nil, err
	}
	lowest, err := counter.Count()
	if err != nil {
		counter.Close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var failed error
	var done sync.WaitGroup
	done.Go(func() {
		defer counter.Close()
		failed = Poll(ctx, watchInterval, func() (bool, error) {
			n, err := counter.Count()
			lowest = min(lowest, n)
			return false, err
		})
	})
	return func() (int, error) {
		cancel()
		done.Wait()
		if ctx.Err() != nil && failed == context.Canceled {
			failed = nil
		}
		return lowest, failed
	}, nil
}
