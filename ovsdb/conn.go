package ovsdb

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/weft-sdn/weft/ovsdb/internal/row"
)

// Conn is a plain connection to ovsdb-server for a program that makes one
// change and ends, as a CNI plugin does: it asks for the rows that it needs,
// and keeps no copy. Its cost does not grow with the database. It is for one
// goroutine. All methods return at the end of their context at the latest;
// after that, or after any failure of the connection, it is of no more use.
type Conn struct {
	endpoint string
	socket   net.Conn
	in       *json.Decoder
	calls    int // so far: the id of the last one
}

// SocketPath returns the path in an endpoint such as
// unix:/run/openvswitch/db.sock, the only kind that there is.
func SocketPath(endpoint string) (string, error) {
	path, isUnix := strings.CutPrefix(endpoint, "unix:")
	if !isUnix || !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("ovsdb %q: must be unix: and an absolute path, such as unix:/run/openvswitch/db.sock", endpoint)
	}
	return path, nil
}

// Dial connects to ovsdb-server, for example at
// "unix:/run/openvswitch/db.sock". If the server is away it fails at once.
func Dial(ctx context.Context, endpoint string) (*Conn, error) {
	path, err := SocketPath(endpoint)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	socket, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("connecting to ovsdb-server at %s: %w", endpoint, err)
	}
	return &Conn{endpoint: endpoint, socket: socket, in: json.NewDecoder(bufio.NewReaderSize(socket, 64<<10))}, nil
}

// Close ends the connection.
func (c *Conn) Close() { c.socket.Close() }

// message is what the server sends (RFC 7047 section 4): the answer to a call,
// or a call of its own.
type message struct {
	ID     json.RawMessage           `json:"id"`
	Method string                    `json:"method"`
	Params json.RawMessage           `json:"params"`
	Result []rfc7047.OperationResult `json:"result"`
	Error  json.RawMessage           `json:"error"`
}

// transact commits all operations or none. An error has the server's own text
// and, if it is a *refusedError, changed nothing.
func (c *Conn) transact(ctx context.Context, ops ...rfc7047.Operation) ([]rfc7047.OperationResult, error) {
	if deadline, bounded := ctx.Deadline(); bounded {
		c.socket.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { c.socket.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c.calls++
	err := c.write(map[string]any{"id": c.calls, "method": "transact", "params": rfc7047.NewTransactArgs("Open_vSwitch", ops...)})
	for err == nil {
		var m message
		if m, err = c.read(); err != nil {
			break
		}
		switch {
		case m.Method == "echo": // it asks whether we live while we wait for something
			err = c.write(map[string]any{"id": m.ID, "result": m.Params, "error": nil})
		case m.Method != "":
			// A notification of something that we have not asked for.
		case string(m.ID) != fmt.Sprint(c.calls):
			err = fmt.Errorf("ovsdb-server answered call %s, not %d", m.ID, c.calls)
		default:
			return m.results(len(ops))
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, fmt.Errorf("%w at %s: %w", ErrNotConnected, c.endpoint, err)
}

func (c *Conn) write(m map[string]any) error {
	text, err := json.Marshal(m)
	if err == nil {
		_, err = c.socket.Write(text)
	}
	return err
}

func (c *Conn) read() (m message, err error) {
	err = c.in.Decode(&m)
	return m, err
}

// refusedError says that the server would not do what it was asked for.
type refusedError struct{ kind, details string }

func (e *refusedError) Error() string {
	return fmt.Sprintf("ovsdb-server refused: %s: %s", e.kind, e.details)
}

// refusedAs reports whether an error is the server's refusal, of one of the kinds
// of RFC 7047.
func refusedAs(err error, kind string) bool {
	var refused *refusedError
	return errors.As(err, &refused) && refused.kind == kind
}

// results are those of n operations, of which none has failed.
func (m message) results(n int) ([]rfc7047.OperationResult, error) {
	if len(m.Error) > 0 && string(m.Error) != "null" {
		return nil, &refusedError{"error", string(m.Error)}
	}
	for _, r := range m.Result {
		if r.Error != "" {
			return nil, &refusedError{r.Error, r.Details}
		}
	}
	if len(m.Result) < n {
		return nil, fmt.Errorf("ovsdb-server answered %d of %d operations", len(m.Result), n)
	}
	return m.Result, nil
}

// noted adds the comment by which the database's log says that a change is ours.
func noted(comment string, ops ...rfc7047.Operation) []rfc7047.Operation {
	return append(ops, row.Comment(comment))
}
