package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// checkupTimeout bounds a look at the cell's host: it runs programs.
const checkupTimeout = 25 * time.Second

// CellClient is the door to the agent of the cell that it runs on. It is safe
// for concurrent use.
type CellClient struct {
	requester
	socket string
}

// NewCellClient returns a client of the agent that listens on a unix socket.
func NewCellClient(socket string) *CellClient {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}
	return &CellClient{requester: requester{base: "http://weft-agent", http: &http.Client{Transport: transport}}, socket: socket}
}

// Checkup has the agent look at its host. Unavailable if no agent answers,
// NotFound from an agent of an older release.
func (c *CellClient) Checkup(ctx context.Context) (Checkup, error) {
	ctx, cancel := context.WithTimeout(ctx, checkupTimeout)
	defer cancel()
	var checkup Checkup
	_, err := c.do(ctx, http.MethodGet, "/doctor", nil, &checkup)
	var e *Error
	if errors.Is(err, ErrUnavailable) && errors.As(err, &e) && e.cause != nil {
		err = Unavailable("%w", e.cause) // without a host name that nobody knows
	}
	return checkup, wrap("asking the agent at "+c.socket, err)
}
