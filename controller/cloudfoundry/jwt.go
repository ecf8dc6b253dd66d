package cloudfoundry

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/weft-sdn/weft/api"
)

// algorithms are those of a signature that only the holder of a private key can
// make. Never "none", and never one of a shared secret: a public key would be
// taken for that secret.
var algorithms = []string{"RS256", "RS384", "RS512", "ES256"}

// clockSkew is how far our clock and the UAA's may be apart.
const clockSkew = 30 * time.Second

// maxToken bounds a token; those of UAA have 1 to 4 kB.
const maxToken = 32 << 10

// jwtAuth verifies tokens by the UAA's keys.
type jwtAuth struct{ keys *keyRing }

// NewJWT returns an authenticator that verifies tokens by the keys that the UAA
// publishes, without asking it about each. A token that is revoked works until
// it expires.
func NewJWT(uaa *UAA) api.Authenticator {
	return &jwtAuth{keys: newKeyRing(uaa.published)}
}

// claims are those of an access token of UAA.
type claims struct {
	jwt.RegisteredClaims
	identity
}

// Authenticate verifies signature, issuer and time.
func (a *jwtAuth) Authenticate(r *http.Request) (api.Caller, error) {
	text, err := tokenOf(r)
	if err != nil {
		return api.Caller{}, err
	}
	if len(text) > maxToken {
		return api.Caller{}, refused("it is longer than any token of uaa")
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxKeyWait)
	defer cancel()
	var holder claims
	var issuer string
	parser := jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithExpirationRequired(), jwt.WithLeeway(clockSkew))
	_, err = parser.ParseWithClaims(text, &holder, func(token *jwt.Token) (key any, err error) {
		key, issuer, err = a.keys.find(ctx, token)
		return key, err
	})
	switch {
	case err != nil:
		return api.Caller{}, refused(reason(err))
	case issuer != "" && holder.Issuer != issuer:
		return api.Caller{}, refused("another uaa issued it")
	case strings.HasSuffix(holder.ID, "-r"):
		return api.Caller{}, refused("it is a refresh token") // signed by the same key
	}
	return holder.caller(holder.Subject)
}

// reason says why a token was refused in words of ours: the library's may quote
// it.
func reason(err error) string {
	for _, known := range []struct {
		is  error
		why string
	}{
		{jwt.ErrTokenMalformed, "it is not a JSON web token"},
		{jwt.ErrTokenSignatureInvalid, "its signature is wrong, or made in a way that is not accepted"},
		{errUnknownKey, errUnknownKey.Error()},
		{jwt.ErrTokenUnverifiable, "uaa could not be asked for its keys, or the key is for another algorithm"},
		{jwt.ErrTokenExpired, "it has expired"},
		{jwt.ErrTokenNotValidYet, "it is not valid yet"},
		{jwt.ErrTokenRequiredClaimMissing, "it never expires"},
	} {
		if errors.Is(err, known.is) {
			return known.why
		}
	}
	return "its claims are not those of an access token"
}
