package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/weft-sdn/weft/api"
)

// uaaLogin is who one is to a UAA, with the tokens that it gave. A user's
// password is not kept: the refresh token stands for it.
type uaaLogin struct {
	URL          string    `yaml:"url"`
	User         string    `yaml:"user,omitempty"` // "" for the client itself
	ClientID     string    `yaml:"client_id"`
	ClientSecret string    `yaml:"client_secret,omitempty"`
	AccessToken  string    `yaml:"access_token,omitempty"`
	RefreshToken string    `yaml:"refresh_token,omitempty"`
	Expires      time.Time `yaml:"expires,omitempty"`
}

// uaaEarly is how long before its end an access token is replaced: longer than
// a request takes to arrive.
const uaaEarly = 30 * time.Second

// uaaPatience bounds one request to a UAA.
const uaaPatience = 30 * time.Second

// outsideClient is for UAA and Cloud Controller.
func outsideClient(trust *tls.Config) *http.Client {
	return &http.Client{Timeout: uaaPatience, Transport: &http.Transport{
		DialContext:     (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSClientConfig: trust,
		Proxy:           http.ProxyFromEnvironment,
	}, CheckRedirect: noRedirect}
}

// noRedirect has a redirect be the answer: passwords and tokens go to the
// address that was given, and nowhere else.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// fresh reports whether the access token can still be used.
func (u *uaaLogin) fresh() bool {
	return u.AccessToken != "" && time.Until(u.Expires) > uaaEarly
}

// withPassword gets the first tokens of a user.
func (u *uaaLogin) withPassword(ctx context.Context, client *http.Client, password string) error {
	return u.ask(ctx, client, url.Values{"grant_type": {"password"}, "username": {u.User}, "password": {password}})
}

// renew gets a new access token. Unauthorized: one has to log in again.
func (u *uaaLogin) renew(ctx context.Context, client *http.Client) error {
	if u.User == "" {
		return u.ask(ctx, client, url.Values{"grant_type": {"client_credentials"}})
	}
	if u.RefreshToken == "" {
		return api.Unauthorized("the token of %s has expired, and the UAA gave none to renew it with", u.User)
	}
	return u.ask(ctx, client, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {u.RefreshToken}})
}

// ask posts to /oauth/token and keeps what comes back.
func (u *uaaLogin) ask(ctx context.Context, client *http.Client, form url.Values) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(u.URL, "/")+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return api.Invalid("UAA address %q: %w", u.URL, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(u.ClientID), url.QueryEscape(u.ClientSecret))
	resp, err := client.Do(req)
	if err != nil {
		return api.Unavailable("no answer from the UAA at %s: %w", u.URL, withoutURL(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return api.Unavailable("reading the answer of the UAA at %s: %w", u.URL, err)
	}
	var answer struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		ExpiresIn    int    `json:"expires_in"` // seconds
		Error        string `json:"error"`
		Description  string `json:"error_description"`
	}
	notJSON := json.Unmarshal(text, &answer) != nil
	switch {
	case resp.StatusCode >= 400 && resp.StatusCode < 500:
		why := strings.TrimPrefix(answer.Error+": "+answer.Description, ": ")
		if why == "" {
			why = resp.Status
		}
		return api.Unauthorized("the UAA at %s refused: %s", u.URL, safe(strings.TrimSuffix(why, ": ")))
	case resp.StatusCode != http.StatusOK:
		return api.Unavailable("the UAA at %s answered %s", u.URL, resp.Status)
	case notJSON || answer.AccessToken == "":
		return api.Unavailable("the UAA at %s answered with something that is no token", u.URL)
	}
	u.AccessToken, u.Expires = answer.AccessToken, time.Now().Add(time.Duration(answer.ExpiresIn)*time.Second)
	if answer.RefreshToken != "" {
		u.RefreshToken = answer.RefreshToken
	}
	return nil
}

// withoutURL is err without the address, which the caller's text names.
func withoutURL(err error) error {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		return urlErr.Err
	}
	return err
}

// renewed gives the context's access token, renewed and kept when it ends.
func (all *contexts) renewed(name string, client *http.Client) api.TokenSource {
	return func(ctx context.Context) (string, error) {
		u := all.find(name).UAA
		if u.fresh() {
			return u.AccessToken, nil
		}
		if err := u.renew(ctx, client); err != nil {
			return "", err
		}
		// Another weft may have written the file since: change only this.
		now, err := loadContexts()
		if err != nil {
			return "", err
		}
		if s := now.find(name); s != nil && s.UAA != nil {
			*s.UAA = *u
			if err := now.save(); err != nil {
				return "", err
			}
		}
		return u.AccessToken, nil
	}
}
