package cloudfoundry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/weft-sdn/weft/api"
)

const (
	// maxPages bounds a list, so that one that never ends does.
	maxPages = 1000
	// groupsTimeout bounds one page of security groups. Nobody waits for it, and
	// with thousands of groups Cloud Controller takes many seconds.
	groupsTimeout = 2 * time.Minute
)

// CloudController knows apps, spaces, roles and security groups. It implements
// api.Access. What fails because it does not answer, or not as it should, is
// api.ErrUnavailable.
type CloudController struct {
	client
	uaa *UAA
}

var _ api.Access = (*CloudController)(nil)

// NewCloudController reads the CA; it asks nobody yet. The UAA gives us the
// tokens that Cloud Controller wants to see.
func NewCloudController(address, caFile string, uaa *UAA) (*CloudController, error) {
	c, err := newClient(address, caFile)
	if err != nil {
		return nil, err
	}
	return &CloudController{client: c, uaa: uaa}, nil
}

// ask gets a path with our own token, and once more with a new one if that is
// not accepted any more.
func (c *CloudController) ask(ctx context.Context, path string, query url.Values, into any) error {
	for attempt := 1; ; attempt++ {
		token, err := c.uaa.token(ctx)
		if err != nil {
			return api.Unavailable("asking cloud controller: %w", err)
		}
		err = c.get(ctx, path, query, "bearer "+token, into)
		var status errStatus
		switch {
		case err == nil:
			return nil
		case errors.As(err, &status) && status == http.StatusUnauthorized && attempt == 1:
			c.uaa.forget(token)
		case errors.As(err, &status) && status == http.StatusNotFound:
			return fmt.Errorf("cloud controller: %w", err) // an answer: there is none
		default:
			return api.Unavailable("asking cloud controller: %w", err)
		}
	}
}

// missing reports whether Cloud Controller said that there is no such thing.
func missing(err error) bool {
	var status errStatus
	return errors.As(err, &status) && status == http.StatusNotFound
}

// unserved reports whether a path is one that Cloud Controller, or a stand-in or
// a proxy before it, does not serve.
func unserved(err error) bool {
	var status errStatus
	if !errors.As(err, &status) {
		return false
	}
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusTeapot, http.StatusNotImplemented:
		return true
	default:
		return false
	}
}

// page is one of a list, in the shape of version 3 or 2.
type page struct {
	Pagination struct {
		Total *int `json:"total_results"` // objects on all pages
		Pages int  `json:"total_pages"`
		Next  *struct {
			Href string `json:"href"`
		} `json:"next"`
	} `json:"pagination"`
	NextURL   string          `json:"next_url"`
	Resources json.RawMessage `json:"resources"`
}

// next is the query of the page behind this one; nil if it is the last. Its
// address is Cloud Controller's public one, which need not be ours, and our
// token goes nowhere else.
func (p page) next() (url.Values, error) {
	address := p.NextURL
	if p.Pagination.Next != nil {
		address = p.Pagination.Next.Href
	}
	if address == "" {
		return nil, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.RawQuery == "" {
		return nil, errors.New("the address of the next page is none")
	}
	return u.Query(), nil
}

// list returns the objects of all pages.
func list[T any](ctx context.Context, c *CloudController, path string, query url.Values) ([]T, error) {
	all, _, err := count[T](ctx, c, path, query)
	return all, err
}

// count is list, and returns how many objects there are as each page says, if it does.
func count[T any](ctx context.Context, c *CloudController, path string, query url.Values) (all []T, totals []int, err error) {
	for number := range maxPages {
		var p page
		if err := c.ask(ctx, path, query, &p); err != nil {
			return nil, nil, err
		}
		var resources []json.RawMessage
		if err := json.Unmarshal(p.Resources, &resources); err != nil { // null is a list of nothing
			return nil, nil, api.Unavailable("asking cloud controller: %s: the answer is no list", path)
		}
		if total := p.Pagination.Total; total != nil {
			totals = append(totals, *total)
		}
		for _, text := range resources {
			var one T
			if err := json.Unmarshal(text, &one); err != nil {
				return nil, nil, api.Unavailable("asking cloud controller: %s: an object is not what it should be", path)
			}
			all = append(all, one)
		}
		next, err := p.next()
		if err != nil {
			return nil, nil, api.Unavailable("asking cloud controller: %s: %w", path, err)
		}
		if next == nil && number+1 < p.Pagination.Pages { // it counts its pages, and does not link them
			next = maps.Clone(query)
			next.Set("page", strconv.Itoa(number+2))
		}
		if next == nil {
			return all, totals, nil
		}
		query = next
	}
	return nil, nil, api.Unavailable("asking cloud controller: %s: the list has more than %d pages", path, maxPages)
}

// LatestSecurityGroupUpdate returns Cloud Controller's own text for when a
// security group changed last, to the second. "": it does not say.
func (c *CloudController) LatestSecurityGroupUpdate(ctx context.Context) (string, error) {
	var answer struct {
		At string `json:"last_update"`
	}
	err := c.ask(ctx, "/internal/v4/asg_latest_update", nil, &answer)
	if missing(err) {
		return "", nil
	}
	return answer.At, err
}

// guids is a relationship to many.
type guids struct {
	Data []struct {
		GUID string `json:"guid"`
	} `json:"data"`
}

func (g guids) list() []string {
	list := make([]string, len(g.Data))
	for i, one := range g.Data {
		list[i] = one.GUID
	}
	return list
}

// SecurityGroups returns all that there are, without ids. A list that changed
// while it was read, so that a group may be missing, is an error.
func (c *CloudController) SecurityGroups(ctx context.Context) ([]api.SecurityGroup, error) {
	patient := *c.http
	patient.Timeout = groupsTimeout
	c = &CloudController{client: client{base: c.base, http: &patient}, uaa: c.uaa}
	found, totals, err := count[struct {
		GUID    string          `json:"guid"`
		Name    string          `json:"name"`
		Rules   json.RawMessage `json:"rules"`
		Enabled struct {
			Running bool `json:"running"`
			Staging bool `json:"staging"`
		} `json:"globally_enabled"`
		Relationships struct {
			Running guids `json:"running_spaces"`
			Staging guids `json:"staging_spaces"`
		} `json:"relationships"`
	}](ctx, c, "/v3/security_groups", url.Values{"page": {"1"}, "per_page": {strconv.Itoa(maxPerPage)}})
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(totals, func(total int) bool { return total != len(found) }) {
		return nil, api.Unavailable("asking cloud controller: the list of security groups is not complete, or changed meanwhile: it had %d, and should have %v", len(found), totals)
	}
	groups := make([]api.SecurityGroup, len(found))
	for i, g := range found {
		if g.GUID == "" || g.Rules == nil {
			return nil, api.Unavailable("asking cloud controller: security group %q (%q) has no GUID or no rules", g.GUID, g.Name)
		}
		groups[i] = api.SecurityGroup{
			GUID: g.GUID, Name: g.Name, Rules: string(g.Rules), StagingDefault: g.Enabled.Staging, RunningDefault: g.Enabled.Running,
			StagingSpaces: g.Relationships.Staging.list(), RunningSpaces: g.Relationships.Running.list(),
		}
	}
	return groups, nil
}
