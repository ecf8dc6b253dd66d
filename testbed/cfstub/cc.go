package cfstub

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *Stub) ccHandler() http.Handler {
	mux := http.NewServeMux()
	for pattern, answer := range map[string]http.HandlerFunc{
		"GET /v3/apps":                       s.listApps,
		"GET /v3/spaces":                     s.listSpaces,
		"GET /v3/organizations":              s.listOrgs,
		"GET /v3/roles":                      s.listRoles,
		"GET /v3/security_groups":            s.listSecurityGroups,
		"GET /internal/v4/asg_latest_update": s.latestUpdate,
		"GET /v2/spaces/{guid}":              s.showSpaceV2,
		"GET /v2/spaces":                     s.findSpacesV2,
		"GET /v2/users/{id}/spaces":          s.userSpacesV2,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.mayRead(r) {
				reply(w, http.StatusUnauthorized, problem(10002, "CF-NotAuthenticated", "Authentication error"))
				return
			}
			answer(w, r)
		})
	}
	return mux
}

// mayRead: somebody has a token of UAA, and it is not one that was revoked.
func (s *Stub) mayRead(r *http.Request) bool {
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	claims, known := s.tokens[token]
	switch {
	case !strings.EqualFold(kind, "bearer") || !known:
		return false
	case !claims.ExpiresAt.IsZero() && claims.ExpiresAt.Before(time.Now()):
		return false
	}
	return claims.ClientID != ClientID || s.own[token]
}

func problem(code int, title, detail string) map[string]any {
	return map[string]any{"errors": []map[string]any{{"code": code, "title": title, "detail": detail}}}
}

// filter reads a comma-separated list of a query; nil lets everything through.
func filter(r *http.Request, key string) func(string) bool {
	if !r.URL.Query().Has(key) {
		return func(string) bool { return true }
	}
	wanted := strings.Split(r.URL.Query().Get(key), ",")
	return func(value string) bool { return slices.Contains(wanted, value) }
}

// pageV3 answers one page of the resources in the shape of version 3.
func (s *Stub) pageV3(w http.ResponseWriter, r *http.Request, resources []map[string]any) {
	number, size := 1, min(50, s.page)
	for key, value := range map[string]*int{"page": &number, "per_page": &size} {
		given := r.URL.Query().Get(key)
		if given == "" {
			continue
		}
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > 5000 {
			reply(w, http.StatusBadRequest, problem(10005, "CF-BadQueryParameter", key+" must be 1 to 5000"))
			return
		}
		*value = n
	}
	size = min(size, s.page)
	pages := max(1, (len(resources)+size-1)/size)
	from := min((number-1)*size, len(resources))
	pagination := map[string]any{"total_results": len(resources), "total_pages": pages, "next": nil}
	if number < pages {
		query := r.URL.Query()
		query.Set("page", strconv.Itoa(number+1))
		query.Set("per_page", strconv.Itoa(size))
		pagination["next"] = map[string]string{"href": s.CC.URL + r.URL.Path + "?" + query.Encode()}
	}
	reply(w, http.StatusOK, map[string]any{
		"pagination": pagination, "resources": append([]map[string]any{}, resources[from:min(from+size, len(resources))]...),
	})
}

// inOrder lists the values of a map by its keys.
func inOrder[V any](m map[string]V) []V {
	var values []V
	for _, key := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[key])
	}
	return values
}

func data(guid string) map[string]any { return map[string]any{"data": map[string]string{"guid": guid}} }

func (s *Stub) listApps(w http.ResponseWriter, r *http.Request) {
	guid, name, space := filter(r, "guids"), filter(r, "names"), filter(r, "space_guids")
	var found []map[string]any
	for _, app := range inOrder(s.apps) {
		if guid(app.GUID) && name(app.Name) && space(app.Space) {
			found = append(found, map[string]any{
				"guid": app.GUID, "name": app.Name, "relationships": map[string]any{"space": data(app.Space)},
				"links": map[string]any{"space": map[string]string{"href": s.CC.URL + "/v3/spaces/" + app.Space}},
			})
		}
	}
	s.pageV3(w, r, found)
}

func (s *Stub) listSpaces(w http.ResponseWriter, r *http.Request) {
	guid, name, org := filter(r, "guids"), filter(r, "names"), filter(r, "organization_guids")
	var found []map[string]any
	for _, space := range inOrder(s.spaces) {
		if guid(space.GUID) && name(space.Name) && org(space.Org) {
			found = append(found, map[string]any{
				"guid": space.GUID, "name": space.Name, "relationships": map[string]any{"organization": data(space.Org)},
			})
		}
	}
	s.pageV3(w, r, found)
}

func (s *Stub) listOrgs(w http.ResponseWriter, r *http.Request) {
	guid, name := filter(r, "guids"), filter(r, "names")
	var found []map[string]any
	for _, org := range inOrder(s.orgs) {
		if guid(org.GUID) && name(org.Name) {
			found = append(found, map[string]any{"guid": org.GUID, "name": org.Name})
		}
	}
	s.pageV3(w, r, found)
}

// rolesInOrder lists who develops where.
func (s *Stub) rolesInOrder() []role {
	return slices.SortedFunc(maps.Keys(s.developers), func(a, b role) int {
		return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.space, b.space))
	})
}

func (s *Stub) listRoles(w http.ResponseWriter, r *http.Request) {
	if s.noRoles {
		reply(w, http.StatusNotFound, problem(10000, "CF-NotFound", "Unknown request"))
		return
	}
	kind, user, space := filter(r, "types"), filter(r, "user_guids"), filter(r, "space_guids")
	var found []map[string]any
	for _, at := range s.rolesInOrder() {
		if kind("space_developer") && user(at.user) && space(at.space) {
			found = append(found, map[string]any{
				"guid": at.user + "." + at.space, "type": "space_developer",
				"relationships": map[string]any{"user": data(at.user), "space": data(at.space)},
			})
		}
	}
	s.pageV3(w, r, found)
}

func (s *Stub) listSecurityGroups(w http.ResponseWriter, r *http.Request) {
	list := func(guids []string) map[string]any {
		spaces := []map[string]string{}
		for _, guid := range guids {
			spaces = append(spaces, map[string]string{"guid": guid})
		}
		return map[string]any{"data": spaces}
	}
	var found []map[string]any
	for _, group := range s.groups {
		found = append(found, map[string]any{
			"guid": group.GUID, "name": group.Name, "rules": append([]map[string]any{}, group.Rules...),
			"globally_enabled": map[string]bool{"running": group.RunningDefault, "staging": group.StagingDefault},
			"relationships":    map[string]any{"running_spaces": list(group.RunningSpaces), "staging_spaces": list(group.StagingSpaces)},
		})
	}
	s.pageV3(w, r, found)
}

func (s *Stub) latestUpdate(w http.ResponseWriter, _ *http.Request) {
	if s.noUpdate {
		reply(w, http.StatusNotFound, problem(10000, "CF-NotFound", "Unknown request"))
		return
	}
	reply(w, http.StatusOK, map[string]string{"last_update": s.updated.UTC().Format(time.RFC3339)})
}

func spaceV2(space Space) map[string]any {
	return map[string]any{
		"metadata": map[string]string{"guid": space.GUID},
		"entity":   map[string]string{"name": space.Name, "organization_guid": space.Org},
	}
}

func (s *Stub) showSpaceV2(w http.ResponseWriter, r *http.Request) {
	space, exists := s.spaces[r.PathValue("guid")]
	if !exists {
		reply(w, http.StatusNotFound, map[string]any{"code": 40004, "error_code": "CF-SpaceNotFound", "description": "The app space could not be found"})
		return
	}
	reply(w, http.StatusOK, spaceV2(space))
}

// findSpacesV2 knows the three conditions that upstream asks with.
func (s *Stub) findSpacesV2(w http.ResponseWriter, r *http.Request) {
	holds := func(space Space) bool {
		for _, condition := range r.URL.Query()["q"] {
			key, value, _ := strings.Cut(condition, ":")
			is := map[string]bool{
				"developer_guid": s.developers[role{value, space.GUID}], "name": space.Name == value, "organization_guid": space.Org == value,
			}
			if !is[key] {
				return false
			}
		}
		return true
	}
	var found []Space
	for _, space := range inOrder(s.spaces) {
		if holds(space) {
			found = append(found, space)
		}
	}
	s.pageV2(w, r, found)
}

func (s *Stub) userSpacesV2(w http.ResponseWriter, r *http.Request) {
	var found []Space
	for _, at := range s.rolesInOrder() {
		if at.user == r.PathValue("id") {
			found = append(found, s.spaces[at.space])
		}
	}
	s.pageV2(w, r, found)
}

// pageV2 answers one page of spaces in the shape of version 2.
func (s *Stub) pageV2(w http.ResponseWriter, r *http.Request, spaces []Space) {
	number, _ := strconv.Atoi(cmp.Or(r.URL.Query().Get("page"), "1"))
	size, _ := strconv.Atoi(cmp.Or(r.URL.Query().Get("results-per-page"), "50"))
	size = min(size, 100, s.page)
	if number < 1 || size < 1 {
		reply(w, http.StatusBadRequest, map[string]any{"code": 10005, "error_code": "CF-BadQueryParameter"})
		return
	}
	from := min((number-1)*size, len(spaces))
	to := min(from+size, len(spaces))
	resources := []map[string]any{}
	for _, space := range spaces[from:to] {
		resources = append(resources, spaceV2(space))
	}
	body := map[string]any{"total_results": len(spaces), "total_pages": (len(spaces) + size - 1) / size, "next_url": nil, "resources": resources}
	if to < len(spaces) {
		query := url.Values{"results-per-page": {strconv.Itoa(size)}, "page": {strconv.Itoa(number + 1)}}
		body["next_url"] = fmt.Sprintf("%s?%s", r.URL.Path, query.Encode())
	}
	reply(w, http.StatusOK, body)
}
