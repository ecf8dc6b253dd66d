package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// Caller is who makes a request.
type Caller struct {
	Name    string   // for the log and the audit trail: user name, or subject
	Subject string   // the platform's id of the user or client; "" if there is no platform
	Scopes  []string // what it was granted
}

// The scopes that mean something here.
const (
	ScopeAdmin = "network.admin" // may do everything
	ScopeWrite = "network.write" // may write policies between its own apps
)

// Has reports whether the caller was granted the scope.
func (c Caller) Has(scope string) bool { return slices.Contains(c.Scopes, scope) }

// Authenticator finds out who makes a request. Its errors are Unauthorized or
// Forbidden, or Unavailable if it had to ask somebody who did not answer.
type Authenticator interface {
	Authenticate(r *http.Request) (Caller, error)
}

// TokenAuth accepts one token, whose holder may do everything. An empty one
// accepts nobody.
func TokenAuth(token string) Authenticator {
	return tokenAuth{sum: sha256.Sum256([]byte(token)), valid: token != ""}
}

// tokenAuth keeps only the token's hash: comparing hashes takes the same time
// whatever was guessed right, its length included.
type tokenAuth struct {
	sum   [sha256.Size]byte
	valid bool
}

// BearerToken returns the token that a request shows. As upstream it strips
// "Bearer " or "bearer " and takes anything else as the token itself.
func BearerToken(r *http.Request) (string, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", Unauthorized("missing authorization header")
	}
	return strings.TrimPrefix(strings.TrimPrefix(header, "Bearer "), "bearer "), nil
}

// Authenticate checks the Authorization header.
func (a tokenAuth) Authenticate(r *http.Request) (Caller, error) {
	given, err := BearerToken(r)
	if err != nil {
		return Caller{}, err
	}
	sum := sha256.Sum256([]byte(given))
	if subtle.ConstantTimeCompare(sum[:], a.sum[:]) != 1 || !a.valid {
		return Caller{}, Unauthorized("failed to verify token: it is not this controller's token")
	}
	return Caller{Name: "token", Scopes: []string{ScopeAdmin}}, nil
}

// CertificateAuth accepts callers that show a certificate of the CA in
// ExternalTLS. The certificate's common name is the caller's name, and its id on
// the platform if it has one there; each organizational unit is a scope, such as
// network.admin.
func CertificateAuth() Authenticator { return certificateAuth{} }

type certificateAuth struct{}

// sameOrigin tells the writes that another site's page had a browser make. A
// browser shows its certificate whoever asks, as it would never a token.
var sameOrigin = http.NewCrossOriginProtection()

// Authenticate looks at the connection that the request came by: the handshake
// has verified its certificate.
func (certificateAuth) Authenticate(r *http.Request) (Caller, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return Caller{}, Unauthorized("missing client certificate")
	}
	subject := r.TLS.VerifiedChains[0][0].Subject
	if subject.CommonName == "" {
		return Caller{}, Unauthorized("the client certificate has no common name")
	}
	if sameOrigin.Check(r) != nil {
		return Caller{}, Forbidden("a web page of another origin may not write in the name of who has the client certificate")
	}
	return Caller{Name: subject.CommonName, Subject: subject.CommonName, Scopes: subject.OrganizationalUnit}, nil
}

const callerKey = "weft.caller"

// authenticate lets through only requests of a known caller.
func (s *external) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		caller, err := s.Auth.Authenticate(c.Request())
		if err != nil {
			return err
		}
		c.Set(callerKey, caller)
		return next(c)
	}
}

// callerOf returns who makes the request.
func callerOf(c echo.Context) Caller { return c.Get(callerKey).(Caller) }
