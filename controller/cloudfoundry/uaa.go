package cloudfoundry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/weft-sdn/weft/api"
)

// UAAConfig says where the UAA is, and who we are there.
type UAAConfig struct {
	URL          string
	ClientID     string
	ClientSecret string
	CAFile       string // "": the system's authorities
	Log          *slog.Logger
}

// UAA asks about the tokens of callers, and for a token of our own.
type UAA struct {
	client
	id, secret string
	log        *slog.Logger

	flight singleflight.Group
	mu     sync.Mutex // guards own
	own    ownToken
}

// ownToken is what we show Cloud Controller.
type ownToken struct {
	text  string
	until time.Time // not used from then on
}

// NewUAA reads the CA; it asks nobody yet.
func NewUAA(config UAAConfig) (*UAA, error) {
	c, err := newClient(config.URL, config.CAFile)
	if err != nil {
		return nil, err
	}
	return &UAA{client: c, id: config.ClientID, secret: config.ClientSecret, log: config.Log}, nil
}

// post sends a form as ourselves.
func (u *UAA) post(ctx context.Context, path string, form url.Values, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.SetBasicAuth(u.id, u.secret)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return u.do(r, path, into)
}

// identity is what a token says of its holder, in an answer of check_token and
// in a JWT alike.
type identity struct {
	UserName string   `json:"user_name"`
	UserID   string   `json:"user_id"`
	ClientID string   `json:"client_id"`
	Scopes   []string `json:"scope"`
}

// caller is the holder, if the token names one.
func (i identity) caller(subject string) (api.Caller, error) {
	subject = cmp.Or(subject, i.UserID, i.ClientID)
	name := cmp.Or(i.UserName, subject)
	if name == "" {
		return api.Caller{}, refused("it does not say whose it is")
	}
	return api.Caller{Name: name, Subject: subject, Scopes: i.Scopes}, nil
}

// refused is the one answer to every token that is not good enough; only the
// detail says why. It must hold nothing of the token.
func refused(why string) error {
	return &api.Error{Kind: api.ErrUnauthorized, Text: "failed to verify token with uaa", Detail: why}
}

// tokenOf returns the token that a request shows, if there is any.
func tokenOf(r *http.Request) (string, error) {
	token, err := api.BearerToken(r)
	if err == nil && strings.TrimSpace(token) == "" {
		return "", refused("the header holds no token")
	}
	return token, err
}

// Authenticate asks the UAA about the token of each request, so that one that
// is revoked is refused at once.
func (u *UAA) Authenticate(r *http.Request) (api.Caller, error) {
	token, err := tokenOf(r)
	if err != nil {
		return api.Caller{}, err
	}
	var holder struct {
		Subject string `json:"sub"`
		identity
	}
	err = u.post(r.Context(), "/check_token", url.Values{"token": {token}}, &holder)
	var status errStatus
	switch {
	case err == nil:
		return holder.caller(holder.Subject)
	case r.Context().Err() != nil:
		return api.Caller{}, refused("the request ended")
	case errors.As(err, &status) && status == http.StatusBadRequest:
		return api.Caller{}, refused("uaa says that it is not valid")
	}
	u.log.Warn("uaa could not be asked about a token", "error", err)
	return api.Caller{}, refused("uaa could not be asked")
}

// earlier than its end our own token is not used any more.
const earlier = time.Minute

// token returns a token of our own, from the UAA once per lifetime.
func (u *UAA) token(ctx context.Context) (string, error) {
	u.mu.Lock()
	own := u.own
	u.mu.Unlock()
	if time.Now().Before(own.until) {
		return own.text, nil
	}
	// One asks for all that need it. Who asked first may go away meanwhile.
	fetched := u.flight.DoChan("own", func() (any, error) {
		return u.fetchToken(context.WithoutCancel(ctx)) // the client's timeout bounds it
	})
	select {
	case result := <-fetched:
		if result.Err != nil {
			return "", fmt.Errorf("our own token from uaa: %w", result.Err)
		}
		return result.Val.(string), nil
	case <-ctx.Done():
		return "", fmt.Errorf("our own token from uaa: %w", ctx.Err())
	}
}

func (u *UAA) fetchToken(ctx context.Context) (string, error) {
	asked := time.Now()
	var answer struct {
		Token   string `json:"access_token"`
		Expires int    `json:"expires_in"` // seconds
	}
	form := url.Values{"client_id": {u.id}, "grant_type": {"client_credentials"}}
	if err := u.post(ctx, "/oauth/token", form, &answer); err != nil {
		return "", err
	}
	if answer.Token == "" {
		return "", errors.New("/oauth/token: the answer has no access_token")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.own = ownToken{answer.Token, asked.Add(time.Duration(answer.Expires)*time.Second - earlier)}
	return answer.Token, nil
}

// forget makes token ask again, unless it has already got another one.
func (u *UAA) forget(token string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.own.text == token {
		u.own = ownToken{}
	}
}
