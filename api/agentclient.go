package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// pingInterval is how often the controller writes a line to an idle stream.
	pingInterval = 5 * time.Second
	// silenceLimit is how long a stream may be silent before the agent takes
	// the controller for dead: three pings.
	silenceLimit = 3 * pingInterval
	// requestTimeout bounds every internal request other than the stream.
	requestTimeout = 10 * time.Second
	// maxMessageBytes bounds one line of a stream. 100,000 flows are about 20 MB.
	maxMessageBytes = 256 << 20
	// maxGroupNames bounds the group ids of one request, so that its line stays
	// below 8 KB.
	maxGroupNames = 1000
)

// AgentClient is the agent's door to the controller's internal API. It is safe
// for concurrent use; all requests share one HTTP/2 connection. It never
// retries: when to try again is the agent's business.
type AgentClient struct {
	requester
	silence time.Duration
}

// NewAgentClient returns a client of the controller at baseURL
// (https://host:port) that shows the certificate in config. See ClientTLS.
func NewAgentClient(baseURL string, config *tls.Config) *AgentClient {
	transport := &http.Transport{
		TLSClientConfig:     config,
		ForceAttemptHTTP2:   true,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: pingInterval, PingTimeout: pingInterval},
	}
	return &AgentClient{
		requester: requester{base: normalizeURL(baseURL, "https://"), http: &http.Client{Transport: transport}},
		silence:   silenceLimit,
	}
}

// Lease asks for the cell's overlay subnet, the same one each time. Conflict if
// another cell has this VTEP, this one is connected from another, it was drained,
// or its containers run where its lease is not; Exhausted if no subnet is left.
func (c *AgentClient) Lease(ctx context.Context, want LeaseRequest) (Lease, error) {
	var lease Lease
	err := c.post(ctx, Version+"/lease", want, &lease)
	return lease, wrap("asking for a lease", err)
}

// Report tells what changed since the Hello of the stream. Gone if that
// stream is over: open a new one, whose Hello says it all again.
func (c *AgentClient) Report(ctx context.Context, report EndpointsReport) error {
	return wrap("reporting endpoints", c.post(ctx, Version+"/endpoints", report, nil))
}

// Acknowledge tells what the switch holds. Gone if the stream is over.
func (c *AgentClient) Acknowledge(ctx context.Context, applied Applied) error {
	return wrap("acknowledging", c.post(ctx, Version+"/applied", applied, nil))
}

// Groups asks which apps have these group ids, and returns those that there
// are, in ascending order; an id that is nobody's is left out. NotFound from a
// controller of an older release, which does not serve it.
func (c *AgentClient) Groups(ctx context.Context, ids []uint16) ([]Group, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var all []Group
	for some := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(ids))), maxGroupNames) {
		words := make([]string, len(some))
		for i, id := range some {
			words[i] = strconv.Itoa(int(id))
		}
		var list GroupsList
		if _, err := c.do(ctx, http.MethodGet, Version+"/groups?id="+strings.Join(words, ","), nil, &list); err != nil {
			return nil, wrap("asking for the names of groups", err)
		}
		all = append(all, list.Groups...)
	}
	return all, nil
}

// Close gives up idle connections. The client may still be used.
func (c *AgentClient) Close() { c.http.CloseIdleConnections() }

func (c *AgentClient) post(ctx context.Context, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := c.do(ctx, http.MethodPost, path, body, answer)
	return err
}

// Open opens the cell's stream and ends any older one of the cell. It returns
// when the controller has accepted the Hello; the first Next is the snapshot.
// The stream ends with ctx.
func (c *AgentClient) Open(ctx context.Context, hello Hello) (*AgentStream, error) {
	body, err := json.Marshal(hello)
	if err != nil {
		return nil, fmt.Errorf("encoding hello: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+Version+"/stream", bytes.NewReader(body))
	if err != nil {
		cancel()
		return nil, Invalid("controller address %q: %w", c.base, err)
	}
	req.Header.Set("Content-Type", jsonType)

	s := &AgentStream{cancel: cancel, silence: c.silence}
	s.watchdog = time.AfterFunc(c.silence, s.silent)
	resp, err := c.http.Do(req)
	s.watchdog.Stop()
	if err != nil {
		defer s.Close()
		return nil, wrap("opening the stream", s.failure(unreachable(c.base, err)))
	}
	s.body, s.lines = resp.Body, bufio.NewReaderSize(resp.Body, 64<<10)
	if resp.StatusCode != http.StatusOK {
		defer s.Close()
		return nil, wrap("opening the stream", readError(resp))
	}
	return s, nil
}

// AgentStream is the agent's end of its stream. Next and Read are for one
// goroutine; Close may be called by any, and again.
type AgentStream struct {
	body     io.ReadCloser
	lines    *bufio.Reader
	cancel   context.CancelFunc
	watchdog *time.Timer
	silence  time.Duration

	mu   sync.Mutex
	dead bool // the watchdog fired
}

// Next returns the next message that says something; it swallows pings. Gone
// when the controller ended the stream, Unavailable when the connection broke
// or nothing came for 15 s. After an error the stream is of no further use.
func (s *AgentStream) Next() (Message, error) {
	for {
		line, err := s.readLine()
		if err != nil {
			return Message{}, wrap("reading the stream", s.failure(err))
		}
		var m Message
		if err := json.Unmarshal(line, &m); err != nil {
			return Message{}, fmt.Errorf("reading the stream: message is not JSON: %w", err)
		}
		if m.Type != TypePing {
			return m, nil
		}
	}
}

// Read returns the stream's bytes as they come, pings included, for who decodes
// the messages in a way of its own. A stream is read by Next or by Read, never by
// both. It fails as Next does; the end is Gone, not io.EOF.
func (s *AgentStream) Read(p []byte) (int, error) {
	defer s.watchdog.Stop()
	s.watchdog.Reset(s.silence)
	n, err := s.lines.Read(p)
	if err != nil {
		return n, wrap("reading the stream", s.failure(err))
	}
	return n, nil
}

// Close ends the stream; a Next or Read that waits returns.
func (s *AgentStream) Close() {
	s.watchdog.Stop()
	s.cancel()
	if s.body != nil {
		s.body.Close()
	}
}

func (s *AgentStream) silent() {
	s.mu.Lock()
	s.dead = true
	s.mu.Unlock()
	s.cancel()
}

// readLine reads one line, of at most maxMessageBytes. Every piece that
// arrives proves that the controller lives. The watchdog runs only meanwhile:
// an agent that is busy elsewhere hears nothing either.
func (s *AgentStream) readLine() ([]byte, error) {
	defer s.watchdog.Stop()
	var line []byte
	for {
		s.watchdog.Reset(s.silence)
		piece, err := s.lines.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxMessageBytes:
			return nil, fmt.Errorf("message is longer than %d bytes", maxMessageBytes)
		}
	}
}

// failure says why the stream broke.
func (s *AgentStream) failure(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.dead:
		return Unavailable("the controller was silent for %v", s.silence)
	case errors.Is(err, io.EOF):
		return Gone("the controller ended the stream")
	case errors.Is(err, context.Canceled):
		return err
	case KindOf(err) != ErrInternal:
		return err
	}
	return Unavailable("connection to the controller broke: %w", err)
}
