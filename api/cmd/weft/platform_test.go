package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	"github.com/weft-sdn/weft/api"
)

// platform is a UAA and a Cloud Controller of alice, whose password is
// "pass word", and of client ci, whose secret is "s+cret". Access tokens end
// soon, so that each command needs a new one, and a refresh token can be used
// once. Carol, of the same password, can do that once in all.
type platform struct {
	*httptest.Server

	mu      sync.Mutex
	count   int
	access  map[string]string // whose
	refresh map[string]string
}

func newPlatform() *platform {
	p := &platform{access: map[string]string{}, refresh: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /uaa/oauth/token", p.grant)
	for kind, objects := range map[string][]ccApp{
		"apps":          {app(1, "web", 11), app(2, "backend", 11), app(3, "backend", 12), app(4, "mine, all", 11)},
		"spaces":        {space(11, "dev", 21), space(12, "prod", 21)},
		"organizations": {{GUID: guid(21), Name: "acme"}},
	} {
		mux.HandleFunc("GET /v3/"+kind, p.list(objects))
	}
	p.Server = httptest.NewServer(mux)
	return p
}

func guid(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

func app(n int, name string, in int) ccApp {
	a := ccApp{GUID: guid(n), Name: name}
	a.Relationships.Space.Data.GUID = guid(in)
	return a
}

func space(n int, name string, in int) ccApp {
	s := ccApp{GUID: guid(n), Name: name}
	s.Relationships.Organization.Data.GUID = guid(in)
	return s
}

func (p *platform) grant(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	who := ""
	switch r.FormValue("grant_type") {
	case "password":
		if user := r.FormValue("username"); r.FormValue("password") == "pass word" && id == "cf" && secret == "" {
			who = user
		}
	case "client_credentials":
		if id == "ci" && secret == "s%2Bcret" {
			who = id
		}
	case "refresh_token":
		who = p.refresh[r.FormValue("refresh_token")]
		delete(p.refresh, r.FormValue("refresh_token"))
	}
	if who == "" {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprint(w, `{"error":"unauthorized","error_description":"Bad credentials"}`)
		return
	}
	p.count++
	access, refresh := fmt.Sprintf("access-%d", p.count), fmt.Sprintf("refresh-%d", p.count)
	p.access[access] = who
	if who == "alice" || r.FormValue("grant_type") == "password" {
		p.refresh[refresh] = who
	}
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"refresh_token":%q,"expires_in":1}`, access, refresh)
}

// Authenticate accepts the access tokens.
func (p *platform) Authenticate(r *http.Request) (api.Caller, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if who := p.access[given]; who != "" {
		return api.Caller{Name: who, Scopes: []string{api.ScopeAdmin}}, nil
	}
	return api.TokenAuth(token).Authenticate(r)
}

// list answers one object on a page, so that there are several.
func (p *platform) list(objects []ccApp) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if caller, err := p.Authenticate(r); err != nil || caller.Name == "token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		in := func(key, value string) bool {
			list := r.FormValue(key)
			return list == "" || slices.Contains(strings.Split(list, ","), strings.ReplaceAll(value, ",", "%2C"))
		}
		found := []ccApp{}
		for _, x := range objects {
			if in("names", x.Name) && in("guids", x.GUID) {
				found = append(found, x)
			}
		}
		var page int
		_, _ = fmt.Sscan(r.FormValue("page"), &page)
		answer := map[string]any{"resources": found[min(page, len(found)):min(page+1, len(found))], "pagination": map[string]any{"next": nil}}
		if page+1 < len(found) {
			q := r.URL.Query()
			q.Set("page", fmt.Sprint(page+1))
			answer["pagination"] = map[string]any{"next": map[string]string{"href": p.URL + r.URL.Path + "?" + q.Encode()}}
		}
		_ = json.NewEncoder(w).Encode(answer) // fails only if the caller is gone
	}
}
