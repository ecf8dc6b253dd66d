package cloudfoundry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

const (
	// chunk is how many GUIDs one request names at most.
	chunk = 100
	// maxGUID bounds what is asked about, in bytes: with a chunk of those the
	// address stays below the 8 kB that proxies accept. Cloud Controller's own
	// GUIDs have 36.
	maxGUID = 64
	// maxPerPage is what Cloud Controller accepts as per_page.
	maxPerPage = 5000
	// atOnce is how many requests one caller's question makes at a time.
	atOnce = 4

	developer = "space_developer" // the role
)

// relation is a relationship to one.
type relation struct {
	Data struct {
		GUID string `json:"guid"`
	} `json:"data"`
}

// MayWrite asks whose apps they are. An app that does not exist is nobody's.
func (c *CloudController) MayWrite(ctx context.Context, caller api.Caller, apps []flows.AppID) error {
	if caller.Has(api.ScopeAdmin) {
		return nil
	}
	mine, err := c.developed(ctx, caller, apps, true)
	var unknown errUnknown
	switch {
	case errors.As(err, &unknown):
		return notYours(flows.AppID(unknown))
	case err != nil:
		return err
	}
	for _, app := range apps {
		if !mine[app] {
			return notYours(app)
		}
	}
	return nil
}

func notYours(app flows.AppID) error {
	return &api.Error{
		Kind: api.ErrForbidden, Text: "one or more applications cannot be found or accessed",
		Detail: fmt.Sprintf("%.100q", app),
	}
}

// errUnknown is an app that does not exist, where one is enough to say no.
type errUnknown flows.AppID

func (e errUnknown) Error() string { return fmt.Sprintf("app %.100q does not exist", string(e)) }

// Visible asks whose apps they are; an admin sees all.
func (c *CloudController) Visible(ctx context.Context, caller api.Caller, apps []flows.AppID) (map[flows.AppID]bool, error) {
	if !caller.Has(api.ScopeAdmin) {
		return c.developed(ctx, caller, apps, false)
	}
	all := make(map[flows.AppID]bool, len(apps))
	for _, app := range apps {
		all[app] = true
	}
	return all, nil
}

// Gone asks which apps exist. That none of very many do is not believed: a
// client that lacks the right to see apps is told so too.
func (c *CloudController) Gone(ctx context.Context, apps []flows.AppID) ([]flows.AppID, error) {
	spaces, err := c.spacesOf(ctx, apps, false)
	if err != nil {
		return nil, err
	}
	if len(spaces) == 0 && len(apps) > chunk {
		return nil, api.Unavailable("asking cloud controller: it knows none of %d apps: may our client there see apps (cloud_controller.admin_read_only)?", len(apps))
	}
	var gone []flows.AppID
	for _, app := range apps {
		if _, exists := spaces[string(app)]; !exists {
			gone = append(gone, app)
		}
	}
	return gone, nil
}

// developed returns those of the apps that are in a space whose developer the
// caller is. With all set errUnknown if any of them does not exist.
func (c *CloudController) developed(ctx context.Context, caller api.Caller, apps []flows.AppID, all bool) (map[flows.AppID]bool, error) {
	mine := map[flows.AppID]bool{}
	if !askable(caller.Subject) { // a filter of roles by it would let others' through
		return mine, nil
	}
	spaces, err := c.spacesOf(ctx, apps, all)
	if err != nil {
		return nil, err
	}
	distinct := slices.Compact(slices.Sorted(maps.Values(spaces)))
	developed, err := c.spacesOfDeveloper(ctx, caller.Subject, distinct)
	if err != nil {
		return nil, err
	}
	for _, app := range apps {
		if space := spaces[string(app)]; space != "" && developed[space] { // an answer may name none, for an app and for a role alike
			mine[app] = true
		}
	}
	return mine, nil
}

// askable reports whether a text can be a GUID or the name of a client. Others
// name nothing, and could change the meaning of a list with commas, or of a
// path with dots.
func askable(id string) bool {
	return strings.Trim(id, ".") != "" && len(id) <= maxGUID && !strings.ContainsFunc(id, func(r rune) bool {
		return r <= ' ' || r > '~' || r == ',' || r == '%'
	})
}

// inChunks calls ask with up to 100 of the ids at a time, several at once. The
// first error ends it.
func inChunks(ctx context.Context, ids []string, ask func(ctx context.Context, chunk []string) error) error {
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(atOnce)
	for part := range slices.Chunk(ids, chunk) {
		asking.Go(func() error { return ask(ctx, part) })
	}
	return asking.Wait()
}

// spacesOf returns the space of each app that exists. With all set it gives up
// at the first that does not: a request may name 300,000 that somebody made up.
func (c *CloudController) spacesOf(ctx context.Context, apps []flows.AppID, all bool) (map[string]string, error) {
	wanted, odd := map[string]bool{}, ""
	for _, app := range apps {
		if askable(string(app)) {
			wanted[string(app)] = true
		} else if all {
			clear(wanted)
			odd = string(app)
			break
		}
	}
	var mu sync.Mutex
	spaces := map[string]string{}
	asked := slices.Sorted(maps.Keys(wanted))
	if len(asked) == 0 {
		asked = []string{""} // as upstream: who cannot be asked is an error also where the answer is known
	}
	err := inChunks(ctx, asked, func(ctx context.Context, guids []string) error {
		found, err := list[struct {
			GUID  string `json:"guid"`
			Links struct {
				Space struct {
					Href string `json:"href"`
				} `json:"space"`
			} `json:"links"`
		}](ctx, c, "/v3/apps", url.Values{"guids": {strings.Join(guids, ",")}, "per_page": {strconv.Itoa(len(guids))}})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, app := range found {
			if wanted[app.GUID] {
				href := app.Links.Space.Href
				spaces[app.GUID] = href[strings.LastIndexByte(href, '/')+1:]
			}
		}
		for _, guid := range guids {
			if _, exists := spaces[guid]; all && !exists {
				return errUnknown(cmp.Or(guid, odd))
			}
		}
		return nil
	})
	if missing(err) {
		return nil, api.Unavailable("asking cloud controller for apps: %w", err)
	}
	return spaces, err
}

// spacesOfDeveloper returns those of the spaces whose developer the user, or
// the client, is.
func (c *CloudController) spacesOfDeveloper(ctx context.Context, subject string, spaces []string) (map[string]bool, error) {
	var mu sync.Mutex
	mine := map[string]bool{}
	err := inChunks(ctx, spaces, func(ctx context.Context, guids []string) error {
		roles, err := list[struct {
			Type          string `json:"type"`
			Relationships struct {
				User  relation `json:"user"`
				Space relation `json:"space"`
			} `json:"relationships"`
		}](ctx, c, "/v3/roles", url.Values{
			"types": {developer}, "user_guids": {subject}, "space_guids": {strings.Join(guids, ",")}, "per_page": {strconv.Itoa(maxPerPage)},
		})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, role := range roles { // a server that does not know a filter ignores it
			if cmp.Or(role.Type, developer) == developer && cmp.Or(role.Relationships.User.Data.GUID, subject) == subject {
				mine[role.Relationships.Space.Data.GUID] = true
			}
		}
		return nil
	})
	if unserved(err) {
		return c.spacesOfDeveloperV2(ctx, subject)
	}
	return mine, err
}

// spacesOfDeveloperV2 asks a Cloud Controller that does not know /v3/roles, as
// upstream does.
func (c *CloudController) spacesOfDeveloperV2(ctx context.Context, subject string) (map[string]bool, error) {
	mine := map[string]bool{}
	found, err := list[struct {
		Metadata struct {
			GUID string `json:"guid"`
		} `json:"metadata"`
	}](ctx, c, "/v2/users/"+url.PathEscape(subject)+"/spaces", url.Values{"results-per-page": {"100"}})
	if missing(err) { // it has never heard of the user
		return mine, nil
	}
	if err != nil {
		return nil, err
	}
	for _, space := range found {
		mine[space.Metadata.GUID] = true
	}
	return mine, nil
}
