package cfstub

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"math/big"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are what a token says of its holder. Zero fields are left out, but
// for times: a token without an ExpiresAt is valid for ten minutes.
type Claims struct {
	UserName  string
	UserID    string // "sub" too, unless Subject says otherwise
	Subject   string
	ClientID  string
	Scopes    []string
	ExpiresAt time.Time
	Extra     map[string]any // claims to add or to replace; a nil value removes one
}

type signingKey struct {
	id  string
	key *rsa.PrivateKey
}

// User are the claims of a person with those scopes; the id is its name with
// "-guid" behind.
func User(name string, scopes ...string) Claims {
	return Claims{UserName: name, UserID: name + "-guid", ClientID: "cf", Scopes: scopes}
}

// Client are the claims of a client that acts for itself.
func Client(id string, scopes ...string) Claims {
	return Claims{Subject: id, ClientID: id, Scopes: scopes}
}

// claims renders them as UAA does.
func (s *Stub) claims(c Claims) jwt.MapClaims {
	subject := c.Subject
	if subject == "" {
		subject = c.UserID
	}
	if c.ExpiresAt.IsZero() {
		c.ExpiresAt = time.Now().Add(10 * time.Minute)
	}
	claims := jwt.MapClaims{
		"iss": s.Issuer(), "sub": subject, "client_id": c.ClientID, "cid": c.ClientID, "azp": c.ClientID,
		"user_id": c.UserID, "user_name": c.UserName, "scope": c.Scopes, "zid": "uaa", "jti": randomText(),
		"iat": time.Now().Unix(), "exp": c.ExpiresAt.Unix(), "aud": []string{"network", c.ClientID},
	}
	for _, key := range []string{"user_id", "user_name", "client_id", "cid", "azp", "sub"} {
		if claims[key] == "" {
			delete(claims, key)
		}
	}
	maps.Copy(claims, c.Extra)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// Issuer is what UAA writes into a token as its own name.
func (s *Stub) Issuer() string { return s.UAA.URL + "/oauth/token" }

// Mint returns a signed JWT that check_token knows too.
func (s *Stub) Mint(c Claims) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mint(c)
}

func (s *Stub) mint(c Claims) string {
	signer := s.keys[len(s.keys)-1]
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, s.claims(c))
	token.Header["kid"], token.Header["jku"] = signer.id, s.UAA.URL+"/token_keys"
	text, err := token.SignedString(signer.key)
	if err != nil {
		panic("cfstub: " + err.Error()) // RSA and a map always work
	}
	s.tokens[text] = c
	return text
}

// Forget makes check_token refuse a token from now on.
func (s *Stub) Forget(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
}

// AddKey makes UAA sign with a new key; tokens of the older ones stay valid.
func (s *Stub) AddKey() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic("cfstub: " + err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, signingKey{"key-" + randomText()[:8], key})
}

// DropOldKeys leaves only the key that signs.
func (s *Stub) DropOldKeys() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = s.keys[len(s.keys)-1:]
}

// Key returns the key that signs, for tests that forge.
func (s *Stub) Key() (id string, key *rsa.PrivateKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.keys[len(s.keys)-1]
	return last.id, last.key
}

// TokenLifetime sets how long the tokens of client_credentials live.
func (s *Stub) TokenLifetime(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ttl = d
}

// RevokeOwn makes Cloud Controller refuse the tokens that ClientID has by now.
func (s *Stub) RevokeOwn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.own)
}

func (s *Stub) uaaHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /uaa/check_token", s.checkToken)
	mux.HandleFunc("POST /uaa/oauth/token", s.issueToken)
	mux.HandleFunc("GET /uaa/token_keys", s.listKeys)
	mux.HandleFunc("GET /uaa/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"issuer": s.Issuer(), "jwks_uri": s.UAA.URL + "/token_keys"})
	})
	return mux
}

// client checks the caller's name and secret.
func client(w http.ResponseWriter, r *http.Request) bool {
	if id, secret, _ := r.BasicAuth(); id == ClientID && secret == ClientSecret {
		return true
	}
	reply(w, http.StatusUnauthorized, map[string]string{"error": "unauthorized", "error_description": "Bad credentials"})
	return false
}

func (s *Stub) checkToken(w http.ResponseWriter, r *http.Request) {
	if !client(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	claims, known := s.tokens[r.PostFormValue("token")]
	if !known || (!claims.ExpiresAt.IsZero() && claims.ExpiresAt.Before(time.Now())) {
		reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_token", "error_description": "The token is not valid"})
		return
	}
	reply(w, http.StatusOK, s.claims(claims))
}

func (s *Stub) issueToken(w http.ResponseWriter, r *http.Request) {
	if !client(w, r) {
		return
	}
	if grant := r.PostFormValue("grant_type"); grant != "client_credentials" {
		reply(w, http.StatusBadRequest, map[string]string{"error": "unsupported_grant_type"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	claims := Client(ClientID, "cloud_controller.admin_read_only")
	claims.ExpiresAt = time.Now().Add(s.ttl)
	token := s.mint(claims)
	s.own[token] = true
	reply(w, http.StatusOK, map[string]any{
		"access_token": token, "token_type": "bearer", "expires_in": int(s.ttl.Seconds()), "scope": "cloud_controller.admin_read_only",
	})
}

func (s *Stub) listKeys(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	encode := base64.RawURLEncoding.EncodeToString
	keys := []map[string]string{}
	for _, k := range s.keys {
		keys = append(keys, map[string]string{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.id,
			"n": encode(k.key.N.Bytes()), "e": encode(big.NewInt(int64(k.key.E)).Bytes()),
		})
	}
	reply(w, http.StatusOK, map[string]any{"keys": keys})
}

func randomText() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
