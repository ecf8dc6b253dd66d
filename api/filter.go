package api

import (
	"net/url"
	"slices"
	"strings"
)

// Filter selects policies by their apps. The zero value selects all. A list
// that is not nil but empty selects none, as ?id= does.
type Filter struct {
	ID     []string // source or destination; it wins over the other two
	Source []string
	Dest   []string
}

// parseFilter reads the contract's query parameters. Only the first occurrence
// of each counts.
func parseFilter(q url.Values) Filter {
	list := func(name string) []string {
		values, given := q[name]
		switch {
		case !given:
			return nil
		case values[0] == "":
			return []string{}
		}
		return strings.Split(values[0], ",")
	}
	return Filter{ID: list("id"), Source: list("source_id"), Dest: list("dest_id")}
}

// query is the inverse of parseFilter, with its question mark.
func (f Filter) query() string {
	q := url.Values{}
	set := func(name string, ids []string) {
		if ids != nil {
			q.Set(name, strings.Join(ids, ","))
		}
	}
	set("id", f.ID)
	set("source_id", f.Source)
	set("dest_id", f.Dest)
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// Apply returns the policies that the filter selects, in their order.
func (f Filter) Apply(policies []Policy) []Policy {
	if f.ID == nil && f.Source == nil && f.Dest == nil {
		return policies
	}
	selects := f.selector()
	return slices.DeleteFunc(slices.Clone(policies), func(p Policy) bool { return !selects(p) })
}

// selector returns what says of one policy whether the filter selects it.
func (f Filter) selector() func(Policy) bool {
	id, source, dest := setOf(f.ID), setOf(f.Source), setOf(f.Dest) // a query may name thousands
	return func(p Policy) bool {
		from, to := string(p.From), string(p.To)
		if f.ID != nil {
			return id[from] || id[to]
		}
		return (f.Source == nil || source[from]) && (f.Dest == nil || dest[to])
	}
}

func setOf(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}
