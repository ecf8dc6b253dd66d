package cellagent_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/flows"
)

// controller is an api.Agents of one cell behind the real internal handler:
// it compiles with the real compiler, and can be told to lie.
type controller struct {
	t       testing.TB
	address string
	files   cellagent.TLSFiles
	server  *http.Server
	open    net.Listener

	mu       sync.Mutex
	state    flows.CellState
	groups   map[flows.AppID]flows.GroupID
	extra    []flows.Fragment // served besides what is compiled
	refused  []api.Refusal
	draining bool
	expiry   int              // of leases, seconds; 0: none
	lies     int              // messages that carry a wrong hash from now on
	leaseErr error            // answer to the next lease requests
	leases   int              // requests
	asked    api.LeaseRequest // the last one
	udpPort  uint16
	opened   int // streams
	revision uint64
	current  *serverStream
	hello    api.Hello
	reports  []api.EndpointsReport
	acks     []api.Applied
}

func startController(t testing.TB) *controller {
	t.Helper()
	c := &controller{
		t: t, address: "127.0.0.1:0", revision: 1, udpPort: 4789, groups: map[flows.AppID]flows.GroupID{"cats": 101, "dogs": 102},
		state: flows.CellState{
			Cell: "cell-1", VNI: 1, Lease: netip.MustParsePrefix("10.255.1.0/24"), Overlay: []netip.Prefix{netip.MustParsePrefix("10.255.0.0/16")},
			Remote: []flows.Peer{{Cell: "cell-2", VTEP: netip.MustParseAddr("172.31.0.2"), Lease: netip.MustParsePrefix("10.255.2.0/24")}},
		},
	}
	c.files = writeKeys(t, t.TempDir())
	c.up()
	t.Cleanup(c.down)
	return c
}

// up listens, at the same address each time.
func (c *controller) up() {
	c.t.Helper()
	listener, err := net.Listen("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.address, c.open = listener.Addr().String(), listener
	tlsConfig, err := api.ServerTLS(api.KeyFiles{Cert: c.files.CertFile, Key: c.files.KeyFile, CA: c.files.CAFile})
	if err != nil {
		c.t.Fatal(err)
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	c.server = &http.Server{Handler: api.NewInternal(api.Internal{Agents: c, Log: quiet}), TLSConfig: tlsConfig,
		ErrorLog: slog.NewLogLogger(quiet.Handler(), slog.LevelInfo)}
	go c.server.ServeTLS(listener, "", "")
}

// down is a controller that was killed.
func (c *controller) down() {
	c.open.Close() // the server does not know it before it serves
	c.server.Close()
	c.do(func() {
		if c.current != nil {
			c.current.end()
			c.current = nil
		}
	})
}

// do changes or reads the state.
func (c *controller) do(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// change changes the state and sends what follows from it.
func (c *controller) change(f func()) {
	c.do(func() {
		f()
		c.revision++
		c.publish()
	})
}

func (c *controller) fragments() []flows.Fragment {
	return append(flows.Fragments(c.state), c.extra...)
}

// want is the table that the cell should have.
func (c *controller) want() (table flows.Table) {
	c.do(func() { table = flows.Union(c.fragments()) })
	return table
}

// publish queues the difference to what the stream has sent.
func (c *controller) publish() {
	if s := c.current; s != nil {
		s.queue <- s.message(c)
	}
}

// Lease implements api.Agents.
func (c *controller) Lease(_ context.Context, _ flows.CellID, req api.LeaseRequest) (lease api.Lease, err error) {
	c.do(func() {
		c.leases++
		c.asked = req
		err = c.leaseErr
		lease = api.Lease{Cell: "cell-1", Subnet: c.state.Lease.String(), Network: []string{"10.255.0.0/16"}, VNI: 1, VXLANPort: c.udpPort, ExpirySeconds: c.expiry}
	})
	return lease, err
}

// Open implements api.Agents.
func (c *controller) Open(_ context.Context, _ flows.CellID, hello api.Hello) (stream api.Stream, err error) {
	c.do(func() {
		if c.current != nil {
			c.current.end()
		}
		c.opened++
		c.hello = hello
		c.state.Local = nil
		c.endpoints(hello.Endpoints, nil)
		c.current = &serverStream{id: "stream-" + strconv.Itoa(c.opened), queue: make(chan api.Message, 1000), over: make(chan struct{})}
		c.publish()
		stream = c.current
	})
	return stream, nil
}

// Report implements api.Agents.
func (c *controller) Report(_ context.Context, _ flows.CellID, report api.EndpointsReport) (err error) {
	c.do(func() {
		if c.current == nil || c.current.id != report.Stream {
			err = api.Gone("stream %q is over", report.Stream)
			return
		}
		c.reports = append(c.reports, report)
		c.endpoints(report.Up, report.Down)
		c.publish()
	})
	return err
}

// Acknowledge implements api.Agents.
func (c *controller) Acknowledge(_ context.Context, _ flows.CellID, applied api.Applied) error {
	c.do(func() { c.acks = append(c.acks, applied) })
	return nil
}

func (c *controller) endpoints(up []api.Endpoint, down []string) {
	local := map[string]flows.Endpoint{}
	for _, e := range c.state.Local {
		local[e.Container] = e
	}
	for _, container := range down {
		delete(local, container)
	}
	for _, e := range up {
		local[e.Container] = flows.Endpoint{Container: e.Container, App: flows.AppID(e.App), Group: c.groups[flows.AppID(e.App)],
			IP: netip.MustParseAddr(e.IP), OFPort: flows.OFPort(e.OFPort)}
	}
	for _, r := range c.refused {
		delete(local, r.Container)
	}
	c.state.Local = nil
	for _, e := range local {
		c.state.Local = append(c.state.Local, e)
	}
}

// acknowledged reports whether the last message that was sent is applied.
func (c *controller) acknowledged() (is bool) {
	c.do(func() {
		is = c.current != nil && len(c.acks) > 0 && c.acks[len(c.acks)-1] == api.Applied{Stream: c.current.id, Seq: c.current.seq}
	})
	return is
}

// serverStream is the controller's end of a stream.
type serverStream struct {
	id    string
	seq   uint64
	sent  map[flows.FragmentKey]flows.Fragment
	queue chan api.Message
	over  chan struct{}
}

func (s *serverStream) message(c *controller) api.Message {
	s.seq++
	m := api.Message{Type: api.TypeDelta, Stream: s.id, Seq: s.seq, Revision: c.revision}
	if s.sent == nil {
		m.Type = api.TypeSnapshot
	}
	all := c.fragments()
	m.Hash = flows.TableHash(all).String()
	if c.lies > 0 {
		c.lies--
		m.Hash = flows.Hash{1}.String()
	}
	next := map[flows.FragmentKey]flows.Fragment{}
	for _, f := range all {
		next[f.Key] = f
		if s.sent[f.Key].Hash != f.Hash {
			m.Set = append(m.Set, api.FragmentToWire(f))
		}
	}
	for key := range s.sent {
		if _, stays := next[key]; !stays {
			m.Remove = append(m.Remove, string(key))
		}
	}
	refused := append([]api.Refusal{}, c.refused...)
	m.Refused, m.Draining = &refused, new(c.draining)
	s.sent = next
	return m
}

func (s *serverStream) Next(ctx context.Context) (api.Message, error) {
	select {
	case m := <-s.queue:
		return m, nil
	case <-s.over:
		return api.Message{}, api.Gone("replaced")
	case <-ctx.Done():
		return api.Message{}, ctx.Err()
	}
}

func (s *serverStream) Close() {}

func (s *serverStream) end() {
	select {
	case <-s.over:
	default:
		close(s.over)
	}
}

// writeKeys makes an authority and one certificate that serves as the
// controller's and as cell-1's.
func writeKeys(t testing.TB, dir string) cellagent.TLSFiles {
	t.Helper()
	files := cellagent.TLSFiles{CertFile: filepath.Join(dir, "crt"), KeyFile: filepath.Join(dir, "key"), CAFile: filepath.Join(dir, "ca")}
	caKey, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	key, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "cell-1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		KeyUsage:    x509.KeyUsageDigitalSignature, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter}
	caDER, err3 := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	leafDER, err4 := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	keyDER, err5 := x509.MarshalECPrivateKey(key)
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for path, block := range map[string]*pem.Block{
		files.CAFile: {Type: "CERTIFICATE", Bytes: caDER}, files.CertFile: {Type: "CERTIFICATE", Bytes: leafDER},
		files.KeyFile: {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
