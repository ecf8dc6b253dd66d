package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/testbed/cfstub"
	"github.com/weft-sdn/weft/testbed/logbook"
)

// call makes a request with an Authorization header, and returns status and body.
func call(t *testing.T, client *http.Client, method, url, authorization, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(text))
}

// TestCloudFoundry: a whole controller with UAA and Cloud Controller, whoever
// verifies the tokens; nothing secret is in its log.
func TestCloudFoundry(t *testing.T) {
	for _, verify := range []string{server.VerifyCheckToken, server.VerifyJWT} {
		t.Run(verify, func(t *testing.T) { cloudFoundry(t, verify) })
	}
}

func cloudFoundry(t *testing.T, verify string) {
	cf := cfstub.New(t)
	for _, guid := range []string{"front", "back"} {
		cf.AddApp(cfstub.App{GUID: guid, Space: "shop"})
	}
	cf.AddApp(cfstub.App{GUID: "ledger", Space: "bank"})
	cf.AddDeveloper("alice-guid", "shop")
	dir, config := install(t)
	config.Auth.Mode, config.Auth.TokenFile = server.AuthUAA, filepath.Join(dir, "no-token")
	config.Auth.UAA = server.UAA{URL: cf.UAA.URL, ClientID: cfstub.ClientID, ClientSecret: cfstub.ClientSecret, Verify: verify}
	config.CloudController.URL = cf.CC.URL
	var log logbook.Logbook
	s, err := server.Start(context.Background(), config, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	if _, err := os.Stat(config.Auth.TokenFile); err == nil || s.Token != "" {
		t.Error("mode uaa made a token of our own")
	}

	admin, alice := cf.Mint(cfstub.User("root", "network.admin")), cf.Mint(cfstub.User("alice", "network.write"))
	stranger := cf.Mint(cfstub.User("eve", "openid"))
	policy := func(to string) string {
		return `{"policies":[{"source":{"id":"front"},"destination":{"id":"` + to + `","protocol":"tcp","ports":{"start":80,"end":80}}}]}`
	}
	at := "http://" + s.External.String() + "/networking/v1/external/"
	expect := func(what, method, path, token, body string, status int, text string) {
		t.Helper()
		if got, answer := call(t, http.DefaultClient, method, at+path, token, body); got != status || !strings.Contains(answer, text) {
			t.Errorf("%s: %d %s, want %d %s", what, got, answer, status, text)
		}
	}
	expect("no token", "GET", "policies", "", "", 401, `{"error": "missing authorization header"}`)
	expect("a wrong token", "GET", "policies", "Bearer x.y.z", "", 401, `{"error": "failed to verify token with uaa"}`)
	expect("who am I", "GET", "whoami", "bearer "+admin, "", 200, `{"subject":"root"}`)
	expect("no scope", "GET", "policies", stranger, "", 403, "do not include allowed scopes")
	expect("own apps", "POST", "policies", alice, policy("back"), 200, `{}`)
	expect("a foreign app", "POST", "policies", alice, policy("ledger"), 403, "one or more applications cannot be found or accessed")
	expect("an app that is not", "POST", "policies", alice, policy("nothing"), 403, "one or more applications cannot be found or accessed")
	expect("an admin", "POST", "policies", admin, policy("ledger"), 200, `{}`)
	expect("what alice sees", "GET", "policies", alice, "", 200, `"total_policies":1`)
	expect("what an admin sees", "GET", "policies", admin, "", 200, `"total_policies":2`)
	cf.CC.Stop()
	expect("without Cloud Controller", "GET", "policies", alice, "", 500, "filter policies failed")
	expect("without Cloud Controller", "POST", "policies", alice, policy("back"), 500, "check access failed")
	expect("an admin without Cloud Controller", "GET", "policies", admin, "", 200, `"total_policies":2`)
	cf.UAA.Stop()
	if verify == server.VerifyCheckToken {
		expect("without UAA", "GET", "policies", admin, "", 401, "failed to verify token with uaa")
	}

	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	text := log.String()
	for what, secret := range map[string]string{
		"client secret": cfstub.ClientSecret, "admin's token": strings.Split(admin, ".")[2], "alice's token": strings.Split(alice, ".")[1],
	} {
		if strings.Contains(text, secret) {
			t.Errorf("the %s is in the log", what)
		}
	}
	if !strings.Contains(text, "failed to verify token with uaa") {
		t.Error("the log says nothing of a refused caller")
	}
}

// TestTokenIsNotLogged: neither at the start that makes it, nor in a request.
func TestTokenIsNotLogged(t *testing.T) {
	_, config := install(t)
	var log logbook.Logbook
	s, err := server.Start(context.Background(), config, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	at := "http://" + s.External.String() + "/networking/v1/external/whoami"
	for header, want := range map[string]int{"Bearer " + s.Token: 200, s.Token: 200, "Bearer x" + s.Token: 401} {
		if status, answer := call(t, http.DefaultClient, "GET", at+"?token="+s.Token, header, ""); status != want {
			t.Errorf("%d %s, want %d", status, answer, want)
		}
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if text := log.String(); strings.Contains(text, s.Token) || !strings.Contains(text, "whoami") {
		t.Errorf("the log holds the token, or nothing:\n%s", text)
	}
}

// authority signs certificates of callers and of the external listener.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.sign("ca", &x509.Certificate{Subject: pkix.Name{CommonName: "callers' CA"}, IsCA: true, BasicConstraintsValid: true})
	return a
}

// sign writes name.crt and name.key.
func (a *authority) sign(name string, cert *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	cert.SerialNumber, cert.NotBefore, cert.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(a.dir, name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return signed, key
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// client makes requests with the certificate of that name; "": with none.
func (a *authority) client(name string, change func(*tls.Config)) *http.Client {
	a.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	config := &tls.Config{RootCAs: pool}
	if name != "" {
		pair, err := tls.LoadX509KeyPair(a.file(name+".crt"), a.file(name+".key"))
		if err != nil {
			a.t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if change != nil {
		change(config)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
}

// TestClientCertificates: mode mtls, and the external listener's TLS.
func TestClientCertificates(t *testing.T) {
	callers, strangers := newAuthority(t), newAuthority(t)
	callers.sign("server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	caller := func(name string, units ...string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: name, OrganizationalUnit: units}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	}
	callers.sign("admin", caller("deployer", "network.admin"))
	callers.sign("cell", caller("cell-1"))
	callers.sign("nameless", caller("", "network.admin"))
	strangers.sign("admin", caller("deployer", "network.admin"))
	_, config := install(t)
	config.Auth.Mode, config.Auth.ClientCA = server.AuthMTLS, callers.file("ca.crt")
	config.TLS = server.KeyPair{Cert: callers.file("server.crt"), Key: callers.file("server.key")}
	s := run(t, config)
	at := "https://" + s.External.String()
	whoami := at + "/networking/v1/external/whoami"
	_, alone := install(t) // without auth.client_ca_file: those of the internal API
	alone.Auth.Mode, alone.TLS = server.AuthMTLS, config.TLS
	alone.InternalTLS.Cert, alone.InternalTLS.Key, alone.InternalTLS.CA = config.TLS.Cert, config.TLS.Key, callers.file("ca.crt")
	same := "https://" + run(t, alone).External.String() + "/networking/v1/external/whoami"
	for name, want := range map[string]struct {
		status int
		text   string
	}{
		"admin": {200, `{"subject":"deployer"}`}, "cell": {403, "do not include allowed scopes"},
		"": {401, "missing client certificate"}, "nameless": {401, "no common name"},
	} {
		if status, answer := call(t, callers.client(name, nil), "GET", whoami, "", ""); status != want.status || !strings.Contains(answer, want.text) {
			t.Errorf("%q: %d %s, want %d %s", name, status, answer, want.status, want.text)
		}
		if status, answer := call(t, callers.client(name, nil), "GET", same, "", ""); status != want.status || !strings.Contains(answer, want.text) {
			t.Errorf("%q, of the internal CA: %d %s, want %d %s", name, status, answer, want.status, want.text)
		}
	}
	if status, _ := call(t, callers.client("", nil), "GET", at+"/health", "", ""); status != 200 {
		t.Errorf("/health without a certificate: %d", status)
	}
	refuse := func(what string, client *http.Client) {
		t.Helper()
		if res, err := client.Get(whoami); err == nil {
			res.Body.Close()
			t.Errorf("%s: %s", what, res.Status)
		}
	}
	forged := callers.client("", func(c *tls.Config) {
		pair, err := tls.LoadX509KeyPair(strangers.file("admin.crt"), strangers.file("admin.key"))
		if err != nil {
			t.Fatal(err)
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	})
	refuse("a certificate of another CA", forged)
	refuse("TLS 1.1", callers.client("admin", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }))
	refuse("another cipher", callers.client("admin", func(c *tls.Config) {
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}
	}))
	old := callers.client("admin", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	if status, answer := call(t, old, "GET", whoami, "", ""); status != 200 {
		t.Errorf("TLS 1.2: %d %s", status, answer)
	}
}
