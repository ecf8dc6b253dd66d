package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/weft-sdn/weft/flows"
)

// Bounds of what describes a policy, in bytes. The schemas say them too.
const (
	maxAppBytes         = 255
	maxNameBytes        = 255
	maxDescriptionBytes = 1024
	maxLabels           = 32
	maxLabelKeyBytes    = 63
	maxLabelBytes       = 255
)

// decodeNative reads a body that has one JSON value and no field that nobody knows.
func decodeNative(c echo.Context, into any) error {
	raw, err := io.ReadAll(c.Request().Body)
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		return Invalid("body: longer than %d bytes", tooLong.Limit)
	} else if err != nil {
		return Invalid("body: %w", err)
	}
	if elements(raw) > maxPolicies {
		return Invalid("body: more than %d policies in one request", maxPolicies)
	}
	return decodeStrict(raw, into)
}

func decodeStrict(raw []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	var wrong *json.UnmarshalTypeError
	err := d.Decode(into)
	switch {
	case errors.As(err, &wrong):
		return Invalid("body: %s: %s where %s is wanted", cmp.Or(wrong.Field, "it"), wrong.Value, wrong.Type.Kind())
	case errors.Is(err, io.EOF):
		return Invalid("body: it is empty, and JSON is wanted")
	case err != nil:
		return Invalid("body: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Invalid("body: something follows the JSON")
	}
	return nil
}

// spec checks a policy that is asked for. field says where it is in the body.
func (r PolicyRequest) spec(field string) (PolicySpec, error) {
	for _, app := range []struct{ name, id string }{{"source", r.Source}, {"destination", r.Destination}} {
		if app.id == "" || len(app.id) > maxAppBytes || !utf8.ValidString(app.id) {
			return PolicySpec{}, Invalid("%s.%s: %.80q: want an app id of 1 to %d bytes", field, app.name, app.id, maxAppBytes)
		}
	}
	protocol, err := flows.ParseProtocol(r.Protocol)
	if err != nil || protocol != flows.TCP && protocol != flows.UDP {
		return PolicySpec{}, Invalid("%s.protocol: %.80q: want tcp or udp", field, r.Protocol)
	}
	if r.Ports.Start < 1 || r.Ports.End > 65535 || r.Ports.Start > r.Ports.End {
		return PolicySpec{}, Invalid("%s.ports: %d-%d: want 1 <= start <= end <= 65535", field, r.Ports.Start, r.Ports.End)
	}
	about := About{Name: r.Name, Description: r.Description, Labels: r.Labels}
	if err := about.check(field); err != nil {
		return PolicySpec{}, err
	}
	return PolicySpec{About: about, Policy: Policy{
		From: flows.AppID(r.Source), To: flows.AppID(r.Destination), Protocol: protocol,
		Ports: flows.PortRange{First: uint16(r.Ports.Start), Last: uint16(r.Ports.End)},
	}}, nil
}

func (a About) check(field string) error {
	switch {
	case len(a.Name) > maxNameBytes:
		return Invalid("%s.name: %d bytes long, want at most %d", field, len(a.Name), maxNameBytes)
	case len(a.Description) > maxDescriptionBytes:
		return Invalid("%s.description: %d bytes long, want at most %d", field, len(a.Description), maxDescriptionBytes)
	case len(a.Labels) > maxLabels:
		return Invalid("%s.labels: %d of them, want at most %d", field, len(a.Labels), maxLabels)
	}
	for _, key := range slices.Sorted(maps.Keys(a.Labels)) {
		switch value := a.Labels[key]; {
		case key == "" || len(key) > maxLabelKeyBytes || strings.Contains(key, "="):
			return Invalid("%s.labels: key %.80q: want 1 to %d bytes without '='", field, key, maxLabelKeyBytes)
		case len(value) > maxLabelBytes:
			return Invalid("%s.labels: value of %q is %d bytes long, want at most %d", field, key, len(value), maxLabelBytes)
		}
	}
	return nil
}

// specs checks all policies of a request. One may not be there twice: which
// description should it have?
func specs(requests []PolicyRequest) ([]PolicySpec, error) {
	list := make([]PolicySpec, len(requests))
	places := make(map[Policy]int, len(requests))
	for i, r := range requests {
		spec, err := r.spec(fmt.Sprintf("policies[%d]", i))
		if err != nil {
			return nil, err
		}
		if first, twice := places[spec.Policy]; twice {
			return nil, Invalid("policies[%d]: the same policy as policies[%d]", i, first)
		}
		list[i], places[spec.Policy] = spec, i
	}
	return list, nil
}

// setName is what may be the name of a policy set.
var setName = regexp.MustCompile(setNamePattern)

const setNamePattern = `^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`

func setParam(c echo.Context) (string, error) {
	name := pathParam(c, "name")
	if !setName.MatchString(name) {
		return "", Invalid("name: %.80q: want 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-', and a letter or digit first", name)
	}
	return name, nil
}

func idParam(c echo.Context) (flows.PolicyID, error) {
	id, err := strconv.ParseUint(pathParam(c, "id"), 10, 64)
	if err != nil || id == 0 {
		return 0, Invalid("id: %.80q: want the number of a policy", pathParam(c, "id"))
	}
	return flows.PolicyID(id), nil
}

// pathParam returns a part of the path without its escapes, which the router
// leaves there if the path has any that matter.
func pathParam(c echo.Context, name string) string {
	if c.Request().URL.RawPath != "" {
		if text, err := url.PathUnescape(c.Param(name)); err == nil {
			return text
		}
	}
	return c.Param(name)
}

// number reads a parameter of the query, from 1 to most, or returns the one
// for its absence.
func number(q url.Values, name string, absent, most uint64) (uint64, error) {
	if !q.Has(name) {
		return absent, nil
	}
	n, err := strconv.ParseUint(q.Get(name), 10, 64)
	if err != nil || n < 1 || n > most {
		return 0, Invalid("%s: %.80q: want a number from 1 to %d", name, q.Get(name), most)
	}
	return n, nil
}

// flagParam reads a switch of the query. Absent: off.
func flagParam(q url.Values, name string) (bool, error) {
	switch q.Get(name) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	if q.Has(name) {
		return false, Invalid("%s: %.80q: want true or false", name, q.Get(name))
	}
	return false, nil
}

// labelFilter reads ?label=key=value, which may be there several times.
func labelFilter(q url.Values) (map[string]string, error) {
	labels := make(map[string]string, len(q["label"]))
	for _, text := range q["label"] {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, Invalid("label: %.80q: want key=value", text)
		}
		if other, twice := labels[key]; twice && other != value {
			return nil, Invalid("label: %.80q: no policy has two values for one key", text)
		}
		labels[key] = value
	}
	return labels, nil
}

// etag is the entity tag of all that depends on the policies alone.
func etag(revision Revision) string { return `"` + strconv.FormatUint(uint64(revision), 10) + `"` }

// ifMatch reads the revision that the caller has seen; nil if it does not care.
func ifMatch(r *http.Request) (*Revision, error) {
	text := strings.TrimSpace(strings.Join(r.Header.Values("If-Match"), ","))
	if text == "" || text == "*" {
		return nil, nil
	}
	n, err := strconv.ParseUint(strings.Trim(text, `"`), 10, 64)
	if err != nil || text != etag(Revision(n)) {
		return nil, Invalid(`If-Match: %.80q: want the ETag of one answer, such as "42" with its quotes`, text)
	}
	return new(Revision(n)), nil
}

// unchanged reports whether the caller has seen this revision already.
func unchanged(r *http.Request, revision Revision) bool {
	for _, text := range strings.Split(strings.Join(r.Header.Values("If-None-Match"), ","), ",") {
		if strings.TrimPrefix(strings.TrimSpace(text), "W/") == etag(revision) {
			return true
		}
	}
	return false
}
