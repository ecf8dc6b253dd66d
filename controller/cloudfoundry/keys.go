package cloudfoundry

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

const (
	// keysAge is how old the keys may be before they are fetched again, besides.
	keysAge = 5 * time.Minute
	// maxKeysAge is how old they may be before a token waits for newer ones, if
	// there was nobody to have them fetched meanwhile. So long may a key work
	// that the UAA has dropped, while the UAA answers.
	maxKeysAge = 2 * keysAge
	// keysPause is between two fetches, after the first keysBurst. Tokens of
	// unknown keys, which anybody can make, cause no more of them.
	keysPause = time.Second
	keysBurst = 5
	// maxKeyWait bounds how long a token waits for keys.
	maxKeyWait = 5 * time.Second
)

var errUnknownKey = errors.New("uaa has published no such key")

// published is what the UAA makes known for the verification of its tokens.
type published struct {
	keys    map[string]publicKey // by key id
	issuer  string               // "": the UAA does not say
	fetched time.Time
}

type publicKey struct {
	key       crypto.PublicKey
	algorithm string // the only one that it is for; "": any that fits the key
}

// find returns the key that must have signed a token. One that does not say
// which can only mean the only one.
func (p *published) find(token *jwt.Token) (any, error) {
	id, _ := token.Header["kid"].(string)
	found, known := p.keys[id]
	if _, says := token.Header["kid"]; !says && len(p.keys) == 1 {
		for _, only := range p.keys {
			found, known = only, true
		}
	}
	if !known {
		return nil, errUnknownKey
	}
	if found.algorithm != "" && found.algorithm != token.Method.Alg() {
		return nil, errors.New("the key is for another algorithm")
	}
	return found.key, nil
}

// keyRing keeps what the UAA published last.
type keyRing struct {
	ask    func(context.Context) (*published, error)
	last   atomic.Pointer[published] // nil before the first success
	failed atomic.Int64              // when asking failed last, Unix time, ns
	flight singleflight.Group
	limit  *rate.Limiter
}

func newKeyRing(ask func(context.Context) (*published, error)) *keyRing {
	return &keyRing{ask: ask, limit: rate.NewLimiter(rate.Every(keysPause), keysBurst)}
}

// find returns the key of a token and who must have issued it. For a key that
// it does not know it asks the UAA, within the limit whatever
// arrives; all that wait for an answer share it.
func (k *keyRing) find(ctx context.Context, token *jwt.Token) (key any, issuer string, err error) {
	last := k.last.Load()
	if last != nil {
		if age := time.Since(last.fetched); age > keysAge {
			fetched := k.fetch(ctx, last) // besides: the old ones are good meanwhile
			if age > maxKeysAge && time.Since(time.Unix(0, k.failed.Load())) > keysAge {
				select {
				case <-fetched:
				case <-ctx.Done():
				}
				last = k.last.Load() // as before if the UAA does not answer
			}
		}
		if key, err = last.find(token); !errors.Is(err, errUnknownKey) {
			return key, last.issuer, err
		}
	}
	select {
	case result := <-k.fetch(ctx, last):
		if result.Err != nil {
			return nil, "", result.Err
		}
		now := result.Val.(*published)
		key, err = now.find(token)
		return key, now.issuer, err
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
}

// fetch gets something newer than what was seen: it asks the UAA, or joins in if
// somebody is asking, unless somebody has just asked.
func (k *keyRing) fetch(ctx context.Context, seen *published) <-chan singleflight.Result {
	ctx = context.WithoutCancel(ctx) // others wait for the answer too
	return k.flight.DoChan(fmt.Sprintf("newer than %p", seen), func() (any, error) {
		if now := k.last.Load(); now != seen {
			return now, nil
		}
		ctx, cancel := context.WithTimeout(ctx, maxKeyWait)
		defer cancel()
		if err := k.limit.Wait(ctx); err != nil {
			return nil, err
		}
		now, err := k.ask(ctx)
		if err != nil {
			k.failed.Store(time.Now().UnixNano())
			return nil, err
		}
		k.last.Store(now)
		return now, nil
	})
}

// published asks the UAA for its keys and its name.
func (u *UAA) published(ctx context.Context) (*published, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	now := &published{keys: map[string]publicKey{}, fetched: time.Now()}
	err := u.get(ctx, "/token_keys", nil, "", &set)
	if err == nil {
		now.issuer, err = u.issuer(ctx)
	}
	if err != nil {
		u.log.Warn("uaa could not be asked for its keys", "error", err)
		return nil, err
	}
	for _, text := range set.Keys {
		id, key, err := parseKey(text)
		if err != nil {
			u.log.Warn("uaa publishes a key that is of no use here", "error", err)
			continue
		}
		now.keys[id] = key
	}
	return now, nil
}

// parseKey reads one key: a JSON web key, or the UAA's older form, which has an
// RSA key as PEM text only.
func parseKey(text json.RawMessage) (id string, key publicKey, err error) {
	parsed, err := jwkset.NewJWKFromRawJSON(text, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err == nil {
		stated := parsed.Marshal()
		return stated.KID, publicKey{key: parsed.Key(), algorithm: stated.ALG.String()}, nil
	}
	var older struct {
		ID    string `json:"kid"`
		Value string `json:"value"`
	}
	if json.Unmarshal(text, &older) != nil {
		return "", publicKey{}, err
	}
	block, _ := pem.Decode([]byte(older.Value))
	if block == nil {
		return "", publicKey{}, err
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return "", publicKey{}, err
	}
	if _, isRSA := public.(*rsa.PublicKey); !isRSA {
		return "", publicKey{}, errors.New("the key's value is no RSA key")
	}
	return older.ID, publicKey{key: public, algorithm: jwt.SigningMethodRS256.Alg()}, nil
}

// issuer is the name that the UAA writes into its tokens, which is not its URL:
// we may know it by an internal one. One that does not tell its name is known
// by its keys alone.
func (u *UAA) issuer(ctx context.Context) (string, error) {
	var answer struct {
		Issuer string `json:"issuer"`
	}
	err := u.get(ctx, "/.well-known/openid-configuration", nil, "", &answer)
	var status errStatus
	if errors.As(err, &status) && status >= 400 && status < 500 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("its own name: %w", err)
	}
	return answer.Issuer, nil
}
