package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/testbed/cfstub"
)

// withUAA makes the controller one of a Cloud Foundry: $CC is its Cloud
// Controller, and the files alice and bob hold the tokens of an administrator
// and of a developer of space dev, with apps web, backend and postgres. App
// bank is in another space.
func withUAA(env *testscript.Env, config *server.Config) error {
	cf, err := cfstub.Start()
	if err != nil {
		return err
	}
	env.Defer(cf.Close)
	cf.AddOrg(cfstub.Org{GUID: "org", Name: "acme"})
	for i, app := range []cfstub.App{{Name: "web", Space: "dev"}, {Name: "backend", Space: "dev"}, {Name: "postgres", Space: "dev"}, {Name: "bank", Space: "vault"}} {
		app.GUID = fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1)
		cf.AddApp(app)
	}
	cf.AddDeveloper("bob-guid", "dev")
	config.Auth.Mode = server.AuthUAA
	config.Auth.UAA = server.UAA{URL: cf.UAA.URL, ClientID: cfstub.ClientID, ClientSecret: cfstub.ClientSecret, Verify: server.VerifyCheckToken}
	config.CloudController.URL = cf.CC.URL
	env.Setenv("CC", cf.CC.URL)
	for user, scope := range map[string]string{"alice": api.ScopeAdmin, "bob": api.ScopeWrite} {
		token := cf.Mint(cfstub.User(user, scope))
		if err := os.WriteFile(filepath.Join(env.WorkDir, user), []byte(token), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// withCertificates makes the controller one of client certificates, over TLS:
// ops.crt and ops.key are an operator's, and controller/ca.crt signed the
// controller's own.
func withCertificates(env *testscript.Env, config *server.Config) error {
	config.Auth.Mode = server.AuthMTLS
	config.Auth.ClientCA = filepath.Join(env.WorkDir, "ops.crt") // it signed itself
	config.TLS = server.KeyPair{Cert: config.InternalTLS.Cert, Key: config.InternalTLS.Key}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	subject := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "ops", OrganizationalUnit: []string{api.ScopeAdmin}},
		NotBefore:    time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		IsCA:        true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, subject, subject, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{"ops.crt": {Type: "CERTIFICATE", Bytes: cert}, "ops.key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}
