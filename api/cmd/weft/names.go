package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/weft-sdn/weft/api"
)

// ccChunk is how many names or GUIDs one request of Cloud Controller carries:
// few enough for any proxy's limit of an address.
const ccChunk = 50

// guidText is what Cloud Controller calls apps by.
var guidText = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// names knows the GUIDs of apps by their names, and the other way round,
// through Cloud Controller. Without one, every name is an id.
type names struct {
	url    string // of Cloud Controller; "" for none
	tokens api.TokenSource
	http   *http.Client

	guids map[string]string // by what was typed
	typed map[string]string // the inverse, and org/space/app of those learned
}

// ccApp is an app, a space or an organization of Cloud Controller.
type ccApp struct {
	GUID          string `json:"guid"`
	Name          string `json:"name"`
	Relationships struct {
		Space        ccParent `json:"space"`
		Organization ccParent `json:"organization"`
	} `json:"relationships"`

	space, org string // names
}

type ccParent struct {
	Data struct {
		GUID string `json:"guid"`
	} `json:"data"`
}

// path is the name that only this app has.
func (a ccApp) path() string { return a.org + "/" + a.space + "/" + a.Name }

// names returns the names of the context in use.
func (c *cli) names() (*names, error) {
	n := &names{guids: map[string]string{}, typed: map[string]string{}}
	s, err := c.context()
	if err != nil || s.CCURL == "" {
		return n, err
	}
	trust, err := s.serverTrust()
	if err != nil {
		return nil, err
	}
	n.url, n.http = strings.TrimRight(s.CCURL, "/"), outsideClient(trust)
	n.tokens, err = c.tokens(s)
	return n, err
}

// id returns the GUID of what was resolved.
func (n *names) id(typed string) string {
	if guid, known := n.guids[typed]; known {
		return guid
	}
	return typed
}

// name returns what people call the app, and the id itself if that is unknown.
func (n *names) name(id string) string {
	if name, known := n.typed[id]; known {
		return name
	}
	return id
}

// resolve looks up all that are no GUIDs, and returns what is wrong with each
// of them that is no app's, or several apps', name. A second error says that
// nobody could be asked.
func (n *names) resolve(ctx context.Context, typed []string) (map[string]error, error) {
	var wanted []string
	for _, name := range typed {
		if n.url != "" && !guidText.MatchString(name) && n.guids[name] == "" {
			wanted = append(wanted, name)
		}
	}
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	bare := map[string]bool{}
	for _, name := range wanted {
		bare[name[strings.LastIndex(name, "/")+1:]] = true
	}
	apps, err := n.find(ctx, "names", slices.Sorted(maps.Keys(bare)))
	if err != nil {
		return nil, err
	}
	wrong := map[string]error{}
	for _, name := range wanted {
		fit := slices.DeleteFunc(slices.Clone(apps), func(a ccApp) bool {
			return a.Name != name && a.path() != name
		})
		switch len(fit) {
		case 1:
			n.guids[name], n.typed[fit[0].GUID] = fit[0].GUID, name
		case 0:
			wrong[name] = fmt.Errorf("app %q: there is none of this name that you may see in Cloud Controller: check its spelling and your spaces (cf apps), or give its GUID", name)
		default:
			var paths []string
			for _, a := range fit {
				paths = append(paths, a.path())
			}
			slices.Sort(paths)
			wrong[name] = fmt.Errorf("app %q: %d apps have this name: write which, as in %s", name, len(fit), strings.Join(paths, " or "))
		}
	}
	return wrong, nil
}

// mustResolve resolves the names of a command line.
func (n *names) mustResolve(ctx context.Context, typed ...string) error {
	wrong, err := n.resolve(ctx, typed)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		errs = append(errs, wrong[name])
	}
	return errors.Join(errs...)
}

// learn finds out what people call these ids. Those that are unknown keep
// their GUIDs.
func (n *names) learn(ctx context.Context, ids []string) error {
	if n.url == "" {
		return nil
	}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !guidText.MatchString(id) || n.typed[id] != "" })
	slices.Sort(ids)
	apps, err := n.find(ctx, "guids", slices.Compact(ids))
	for _, a := range apps {
		n.typed[a.GUID] = a.path()
	}
	return err
}

// find returns the apps that have one of the values, with the names of their
// spaces and organizations.
func (n *names) find(ctx context.Context, key string, values []string) ([]ccApp, error) {
	apps, err := n.list(ctx, "apps", key, values)
	if err != nil {
		return nil, err
	}
	spaces, err := n.parents(ctx, "spaces", apps, func(a ccApp) string { return a.Relationships.Space.Data.GUID })
	if err != nil {
		return nil, err
	}
	orgs, err := n.parents(ctx, "organizations", slices.Collect(maps.Values(spaces)), func(s ccApp) string { return s.Relationships.Organization.Data.GUID })
	if err != nil {
		return nil, err
	}
	for i, a := range apps {
		space := spaces[a.Relationships.Space.Data.GUID]
		apps[i].space, apps[i].org = space.Name, orgs[space.Relationships.Organization.Data.GUID].Name
	}
	return apps, nil
}

// parents fetches what the children are in, by GUID.
func (n *names) parents(ctx context.Context, kind string, children []ccApp, of func(ccApp) string) (map[string]ccApp, error) {
	guids := map[string]bool{}
	for _, child := range children {
		guids[of(child)] = true
	}
	list, err := n.list(ctx, kind, "guids", slices.Sorted(maps.Keys(guids)))
	found := map[string]ccApp{}
	for _, x := range list {
		found[x.GUID] = x
	}
	return found, err
}

// list fetches all pages of the objects that have one of the values.
func (n *names) list(ctx context.Context, kind, key string, values []string) ([]ccApp, error) {
	var all []ccApp
	for some := range slices.Chunk(values, ccChunk) {
		var escaped []string
		for _, v := range some {
			escaped = append(escaped, strings.ReplaceAll(v, ",", "%2C")) // a comma separates
		}
		next := n.url + "/v3/" + kind + "?" + url.Values{key: {strings.Join(escaped, ",")}, "per_page": {"1000"}}.Encode()
		for next != "" {
			var page struct {
				Pagination struct {
					Next struct {
						Href string `json:"href"`
					} `json:"next"`
				} `json:"pagination"`
				Resources []ccApp `json:"resources"`
			}
			if err := n.get(ctx, next, &page); err != nil {
				return nil, err
			}
			all = append(all, page.Resources...)
			next = page.Pagination.Next.Href
			if next != "" && !strings.HasPrefix(next, n.url+"/") {
				return nil, fmt.Errorf("the Cloud Controller at %s sends its next page from elsewhere, %q: is cc_url of the context its own address?", n.url, next)
			}
		}
	}
	return all, nil
}

func (n *names) get(ctx context.Context, address string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	if n.tokens != nil {
		token, err := n.tokens(ctx)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "bearer "+token)
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return fmt.Errorf("no answer from the Cloud Controller at %s: %w: give the apps' GUIDs, or try again later", n.url, withoutURL(err))
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return api.Unauthorized("the Cloud Controller at %s does not take the token", n.url)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the Cloud Controller at %s answered %s: give the apps' GUIDs, or try again later", n.url, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(answer); err != nil {
		return fmt.Errorf("the Cloud Controller at %s answered with something that is not the JSON expected: %w", n.url, err)
	}
	return nil
}

// ids returns the GUIDs of what was resolved; nil stays nil.
func (n *names) ids(typed []string) []string {
	var ids []string
	for _, name := range typed {
		ids = append(ids, n.id(name))
	}
	return ids
}
