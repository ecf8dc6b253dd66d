package api_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/weft-sdn/weft/api"
)

// TestOtherSitesDoNotWriteWithACertificate: a browser shows it whichever page
// asks, and such a form needs no leave of ours.
func TestOtherSitesDoNotWriteWithACertificate(t *testing.T) {
	admin := &x509.Certificate{Subject: pkix.Name{CommonName: "root", OrganizationalUnit: []string{api.ScopeAdmin}}}
	for _, c := range []struct {
		method, name, value string
		may                 bool
	}{
		{"POST", "", "", true}, // no browser
		{"POST", "Sec-Fetch-Site", "same-origin", true},
		{"POST", "Sec-Fetch-Site", "cross-site", false},
		{"POST", "Sec-Fetch-Site", "same-site", false},
		{"POST", "Origin", "https://evil.example", false}, // an old browser
		{"GET", "Origin", "https://evil.example", true},   // which the page cannot read
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, "https://weft.example"+prefix+"/policies", http.NoBody)
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{admin}}}
		if c.name != "" {
			r.Header.Set(c.name, c.value)
		}
		caller, err := api.CertificateAuth().Authenticate(r)
		if c.may && (err != nil || caller.Name != "root") || !c.may && !errors.Is(err, api.ErrForbidden) {
			t.Errorf("%s with %s %s: %+v, %v", c.method, c.name, c.value, caller, err)
		}
	}
}
