package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestSecretsFollowNoRedirect: neither a password nor a token goes anywhere but
// to the address that was given.
func TestSecretsFollowNoRedirect(t *testing.T) {
	seen := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen++ }))
	t.Cleanup(elsewhere.Close)
	here := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(here.Close)
	client := outsideClient(nil)
	u := &uaaLogin{URL: here.URL, User: "alice", ClientID: "cf"}
	if err := u.withPassword(t.Context(), client, "pass word"); err == nil || seen > 0 {
		t.Errorf("the password: %v, and %d requests elsewhere", err, seen)
	}
	n := &names{url: here.URL, http: client, tokens: constant("secret")}
	if _, err := n.find(t.Context(), "names", []string{"web"}); err == nil || seen > 0 {
		t.Errorf("the token: %v, and %d requests elsewhere", err, seen)
	}
}
