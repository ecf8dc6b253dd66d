package cfstub

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Service is one of the two servers.
type Service struct {
	URL string // without a final slash

	address string
	handler http.Handler
	tls     *tls.Config // nil for plain HTTP

	mu     sync.Mutex
	server *httptest.Server // nil while it refuses connections
	ending chan struct{}    // closed when server ends
	status int
	fixed  map[string]string // answers by path
	delay  time.Duration
	calls  map[string]int
}

// start binds a free port of loopback.
func (s *Service) start(path string, handler http.Handler, config *tls.Config) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.handler, s.tls, s.calls, s.fixed = handler, config, map[string]int{}, map[string]string{}
	s.address = listener.Addr().String()
	s.serve(listener)
	s.URL = s.server.URL + path
	return nil
}

// serve answers on the listener.
func (s *Service) serve(listener net.Listener) {
	server := httptest.NewUnstartedServer(s)
	_ = server.Listener.Close() // httptest's own, on another port
	server.Listener = listener
	if s.tls == nil {
		server.Start()
	} else {
		server.TLS = s.tls
		server.StartTLS()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server, s.ending = server, make(chan struct{})
}

// ServeHTTP counts the request and answers as the switches say.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls[r.URL.Path]++
	delay, status, fixed, ending := s.delay, s.status, s.fixed[r.URL.Path], s.ending
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return
	case <-ending:
		return
	}
	if status != 0 {
		http.Error(w, "cfstub was told to fail", status)
		return
	}
	if fixed != "" {
		_, _ = io.WriteString(w, fixed) // fails only if the caller is gone
		return
	}
	s.handler.ServeHTTP(w, r)
}

// Answer makes it answer each request for the path with the text; "" ends that.
func (s *Service) Answer(path, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fixed[path] = text
}

// Fail makes it answer every request with the status; 0 ends that.
func (s *Service) Fail(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// Delay makes it wait that long before each answer.
func (s *Service) Delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Stop makes it refuse connections; those that are open are cut.
func (s *Service) Stop() {
	s.mu.Lock()
	server := s.server
	s.server = nil
	if server != nil {
		close(s.ending)
	}
	s.mu.Unlock()
	if server != nil {
		server.CloseClientConnections()
		server.Close()
	}
}

// Resume ends Stop, on the same address.
func (s *Service) Resume(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		t.Fatalf("cfstub: %v", err)
	}
	s.serve(listener)
}

// Calls returns how many requests there were for paths that begin with prefix.
func (s *Service) Calls(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for path, calls := range s.calls {
		if strings.HasPrefix(path, prefix) {
			n += calls
		}
	}
	return n
}

// reply writes a value as JSON.
func reply(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // fails only if the caller is gone
}
