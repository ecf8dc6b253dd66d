package cloudfoundry_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/weft-sdn/weft/controller/cloudfoundry"
	"github.com/weft-sdn/weft/testbed/cfstub"
)

// TestKeysAreCached: the UAA is asked once for any number of tokens, again for
// a key that is new, and hardly ever for those that nobody knows.
func TestKeysAreCached(t *testing.T) {
	cf := cfstub.New(t)
	uaa, _ := connect(t, cf, quiet, "")
	auth := cloudfoundry.NewJWT(uaa)
	token := cf.Mint(cfstub.User("alice"))
	accept := func(what, token string) {
		t.Helper()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, err := auth.Authenticate(request(t, token)); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
		all.Wait()
	}
	accept("first", token)
	if n := cf.UAA.Calls("/uaa/"); n != 2 { // its keys and its name
		t.Errorf("%d calls of the UAA for 50 tokens of one key", n)
	}
	cf.AddKey()
	accept("after a new key", cf.Mint(cfstub.User("alice")))
	accept("of the old key", token)
	if n := cf.UAA.Calls("/uaa/token_keys"); n != 2 {
		t.Errorf("%d times asked for two keys", n)
	}

	begin := time.Now()
	forged := forge(t, cf, nil, func(token *jwt.Token) { token.Header["kid"] = "nobody's" })
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() { mustRefuse(t, auth, forged, "no such key") })
	}
	all.Wait()
	if n, most := cf.UAA.Calls("/uaa/token_keys"), 6+int(time.Since(begin)/time.Second); n > most {
		t.Errorf("200 forged tokens made it ask %d times, want at most %d", n, most)
	}
	cf.AddKey()
	cf.DropOldKeys()
	accept("after the old keys are gone", cf.Mint(cfstub.User("alice")))
	mustRefuse(t, auth, token, "no such key")
}

// forge signs a token of the UAA's present key, after claims and header were
// changed.
func forge(t testing.TB, cf *cfstub.Stub, claims jwt.MapClaims, change func(*jwt.Token)) string {
	t.Helper()
	id, key := cf.Key()
	all := jwt.MapClaims{"iss": cf.Issuer(), "sub": "mallory", "scope": []string{"network.admin"}, "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, all)
	token.Header["kid"] = id
	if change != nil {
		change(token)
	}
	var with any = key
	switch token.Method {
	case jwt.SigningMethodNone:
		with = jwt.UnsafeAllowNoneSignatureType
	case jwt.SigningMethodHS256: // the public key as the shared secret
		der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		with = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	case jwt.SigningMethodES256:
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		with = own
	}
	text, err := token.SignedString(with)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// as makes a token claim and use another algorithm.
func as(method jwt.SigningMethod) func(*jwt.Token) {
	return func(token *jwt.Token) { token.Method, token.Header["alg"] = method, method.Alg() }
}

// TestForgedTokens: nobody gets in by a token that the UAA did not make for this.
func TestForgedTokens(t *testing.T) {
	cf := cfstub.New(t)
	cf.AddKey() // two, so that a token must say which
	uaa, _ := connect(t, cf, quiet, "")
	auth := cloudfoundry.NewJWT(uaa)
	if _, err := auth.Authenticate(request(t, forge(t, cf, nil, nil))); err != nil {
		t.Fatalf("an unchanged token: %v", err)
	}
	good := forge(t, cf, nil, nil)
	parts := strings.Split(good, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	altered := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), "mallory", "alice77", 1)))
	ours, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	foreign := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"sub": "mallory", "exp": time.Now().Add(time.Hour).Unix()})
	foreign.Header["kid"], _ = cf.Key()
	strange, err := foreign.SignedString(ours)
	if err != nil {
		t.Fatal(err)
	}
	hour := time.Now().Add(time.Hour).Unix()
	for name, c := range map[string]struct{ token, why string }{
		"no signature algorithm": {forge(t, cf, nil, as(jwt.SigningMethodNone)), "signature"},
		"public key as secret":   {forge(t, cf, nil, as(jwt.SigningMethodHS256)), "signature"},
		"PSS":                    {forge(t, cf, nil, as(jwt.SigningMethodPS256)), "signature"},
		"key of another kind":    {forge(t, cf, nil, as(jwt.SigningMethodES256)), "algorithm"},
		"other RSA algorithm":    {forge(t, cf, nil, as(jwt.SigningMethodRS512)), "algorithm"},
		"own key":                {strange, "signature"},
		"altered":                {parts[0] + "." + altered + "." + parts[2], "signature"},
		"signature cut off":      {parts[0] + "." + parts[1] + ".", "signature"},
		"no key id":              {forge(t, cf, nil, func(token *jwt.Token) { delete(token.Header, "kid") }), "no such key"},
		"key id is a number":     {forge(t, cf, nil, func(token *jwt.Token) { token.Header["kid"] = 7 }), "no such key"},
		"expired":                {forge(t, cf, jwt.MapClaims{"exp": time.Now().Add(-time.Minute).Unix()}, nil), "expired"},
		"never expires":          {forge(t, cf, jwt.MapClaims{"exp": nil}, nil), "never expires"},
		"not yet valid":          {forge(t, cf, jwt.MapClaims{"nbf": hour}, nil), "not valid yet"},
		"other issuer":           {forge(t, cf, jwt.MapClaims{"iss": "http://evil.example/oauth/token"}, nil), "another uaa"},
		"no issuer":              {forge(t, cf, jwt.MapClaims{"iss": nil}, nil), "another uaa"},
		"refresh token":          {forge(t, cf, jwt.MapClaims{"jti": "0123-r"}, nil), "refresh"},
		"nobody's":               {forge(t, cf, jwt.MapClaims{"sub": nil}, nil), "whose"},
		"scope is text":          {forge(t, cf, jwt.MapClaims{"scope": "network.admin"}, nil), "not a JSON web token"},
		"far too long":           {good + strings.Repeat("A", 64<<10), "longer"},
		"dots":                   {strings.Repeat(".", 1000), "not a JSON web token"},
	} {
		t.Run(name, func(t *testing.T) { mustRefuse(t, auth, c.token, c.why) })
	}
}

// TestTerseUAA: one key that tokens do not name, no name of its own, and keys
// that are of no use here. The signature still decides.
func TestTerseUAA(t *testing.T) {
	cf := cfstub.New(t)
	uaa, _ := connect(t, cf, quiet, "")
	auth := cloudfoundry.NewJWT(uaa)
	cf.UAA.Answer("/uaa/.well-known/openid-configuration", `{}`)
	nameless := func(token *jwt.Token) { delete(token.Header, "kid") }
	if _, err := auth.Authenticate(request(t, forge(t, cf, jwt.MapClaims{"iss": "http://uaa.internal"}, nameless))); err != nil {
		t.Error(err)
	}
	mustRefuse(t, auth, forge(t, cf, nil, nameless)[:300], "")
	mustRefuse(t, auth, forge(t, cf, nil, func(token *jwt.Token) { nameless(token); as(jwt.SigningMethodHS256)(token) }), "signature")

	cf.UAA.Answer("/uaa/token_keys", `{"keys":[{"kty":"MAC","alg":"HS256","kid":"old","value":"secret"},{"kty":"RSA","kid":"half"},7,null]}`)
	mustRefuse(t, cloudfoundry.NewJWT(uaa), forge(t, cf, nil, nil), "no such key")
}

// TestKeyAsText: a UAA that publishes its RSA key as PEM text only.
func TestKeyAsText(t *testing.T) {
	cf := cfstub.New(t)
	uaa, _ := connect(t, cf, quiet, "")
	id, key := cf.Key()
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.MarshalPKIXPublicKey(&own.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publish := func(der []byte) {
		text, err := json.Marshal(map[string]any{"keys": []map[string]string{{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": id,
			"value": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		}}})
		if err != nil {
			t.Fatal(err)
		}
		cf.UAA.Answer("/uaa/token_keys", string(text))
	}
	publish(der)
	auth := cloudfoundry.NewJWT(uaa)
	if _, err := auth.Authenticate(request(t, forge(t, cf, nil, nil))); err != nil {
		t.Error(err)
	}
	mustRefuse(t, auth, forge(t, cf, nil, as(jwt.SigningMethodHS256)), "signature")
	mustRefuse(t, auth, forge(t, cf, nil, as(jwt.SigningMethodRS512)), "algorithm")
	for _, useless := range [][]byte{other, []byte("no key")} {
		publish(useless)
		mustRefuse(t, cloudfoundry.NewJWT(uaa), forge(t, cf, nil, nil), "no such key")
	}
}

// FuzzAuthorization: no header makes the JWT path panic, or lets anybody in.
func FuzzAuthorization(f *testing.F) {
	cf := cfstub.New(f)
	uaa, _ := connect(f, cf, quiet, "")
	auth := cloudfoundry.NewJWT(uaa)
	good := cf.Mint(cfstub.User("alice", "network.admin"))
	if _, err := auth.Authenticate(request(f, good)); err != nil {
		f.Fatal(err)
	}
	id, _ := cf.Key()
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"` + id + `"}`))
	for _, seed := range []string{
		"", "Bearer ", "bearer x", "..", "a.b.c", "Basic YTpi", head + ".e30.AAAA", head + ".bnVsbA.AAAA",
		"eyJhbGciOiJub25lIn0.e30.", good[:len(good)-1], "Bearer \x00\xff", strings.Repeat("A.", 500),
	} {
		f.Add(seed)
	}
	over, cancel := context.WithCancel(f.Context())
	cancel() // so that nobody waits until the UAA may be asked for another key
	f.Fuzz(func(t *testing.T, header string) {
		r := request(t, "").WithContext(over)
		r.Header["Authorization"] = []string{header}
		caller, err := auth.Authenticate(r)
		if err == nil && !strings.Contains(header, good) {
			t.Errorf("%q lets %+v in", header, caller)
		}
	})
}
