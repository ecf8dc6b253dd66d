package cfstub

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// The client as which the controller asks for a token of its own, and with
// which it checks those of others.
const (
	ClientID     = "network-policy"
	ClientSecret = "cfstub-client-secret"
)

// Stub is a Cloud Foundry of two servers. All methods may be called at any time.
type Stub struct {
	UAA *Service // its URL ends in /uaa
	CC  *Service

	mu     sync.Mutex
	tokens map[string]Claims // all that were handed out and not forgotten
	own    map[string]bool   // those of ClientID that Cloud Controller accepts
	ttl    time.Duration
	keys   []signingKey // the last one signs
	world
}

// New starts both servers; they end with the test.
func New(t testing.TB) *Stub {
	t.Helper()
	return newStub(t, nil)
}

// NewTLS is New over TLS, and returns the file of the CA that signed the
// servers' certificate too.
func NewTLS(t testing.TB) (*Stub, string) {
	t.Helper()
	model := httptest.NewTLSServer(nil) // for its certificate of 127.0.0.1
	defer model.Close()
	ca := filepath.Join(t.TempDir(), "cf-ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: model.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o644); err != nil {
		t.Fatalf("cfstub: %v", err)
	}
	return newStub(t, &tls.Config{Certificates: model.TLS.Certificates}), ca
}

func newStub(t testing.TB, config *tls.Config) *Stub {
	t.Helper()
	s, err := start(config)
	if err != nil {
		t.Fatalf("cfstub: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// Start is New for programs that are not tests; the caller closes it.
func Start() (*Stub, error) { return start(nil) }

func start(config *tls.Config) (*Stub, error) {
	s := &Stub{
		UAA: &Service{}, CC: &Service{},
		tokens: map[string]Claims{}, own: map[string]bool{}, ttl: 10 * time.Minute,
		world: newWorld(),
	}
	s.AddKey()
	if err := s.UAA.start("/uaa", s.uaaHandler(), config); err != nil {
		return nil, err
	}
	if err := s.CC.start("", s.ccHandler(), config); err != nil {
		s.UAA.Stop()
		return nil, err
	}
	return s, nil
}

// Close ends both servers.
func (s *Stub) Close() {
	s.UAA.Stop()
	s.CC.Stop()
}
