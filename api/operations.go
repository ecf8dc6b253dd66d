package api

import (
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"
)

// operation is one thing that the native API does. The table of operations
// makes the routes, the OpenAPI document and docs/api.md, so that none of them
// says what another does not.
type operation struct {
	method, path string // the path as the router has it, after Version
	id           string // its name in clients that are made from the document
	who          audience
	summary      string
	text         string // what the summary cannot say; ends with a full stop
	query        []parameter
	header       []parameter
	body         any // a value of the body's type; nil: none
	replies      []reply
	handle       func(*external, echo.Context) error
}

// parameter is one of the query, the header or the path.
type parameter struct {
	name   string
	text   string
	schema map[string]any
}

// reply is an answer other than a problem.
type reply struct {
	status int
	text   string
	body   any    // a value of the body's type; nil: none
	media  string // of the body; "" for JSON
}

func okay(body any, text string) reply { return reply{status: http.StatusOK, text: text, body: body} }

var notModified = reply{status: http.StatusNotModified, text: "nothing has changed since If-None-Match"}

// late is the answer of writes that waited in vain.
func late(body any) reply {
	return reply{status: http.StatusAccepted, text: "it is written, but the pending cells did not confirm it in time", body: body}
}

// Schemas of parameters.
var (
	anyString  = map[string]any{"type": "string"}
	aSwitch    = map[string]any{"type": "boolean", "default": false}
	policyID   = map[string]any{"type": "integer", "minimum": 1}
	aRevision  = map[string]any{"type": "integer", "minimum": 1}
	pageSize   = map[string]any{"type": "integer", "minimum": 1, "maximum": maxPage, "default": maxPage}
	auditSize  = map[string]any{"type": "integer", "minimum": 1, "maximum": maxAudit, "default": defaultAudit}
	setPattern = map[string]any{"type": "string", "pattern": setNamePattern}
	aLabel     = map[string]any{"type": "array", "items": map[string]any{"type": "string", "pattern": "^[^=]+="}}
	waitFor    = map[string]any{"type": "string", "enum": []string{string(WaitApplied), string(WaitAppliedAll)}}
)

// pathParameters are those of all paths.
var pathParameters = map[string]parameter{
	"id":     {"id", "the policy's number", policyID},
	"name":   {"name", "the policy set's name", setPattern},
	"app":    {"app", "the app's id", anyString},
	"cell":   {"cell", "the cell's id, as weft cells lists it", cellName},
	"cookie": {"cookie", "as ovs-ofctl prints it, such as 0x4000000000000007", anyString},
}

// Parameters that several operations have.
var (
	selectPolicies = []parameter{
		{"id", "apps, with commas between: policies with one of them as source or destination", anyString},
		{"source_id", "apps, with commas between: policies with one of them as source", anyString},
		{"dest_id", "apps, with commas between: policies with one of them as destination", anyString},
		{"set", "policies of this set", anyString},
		{"label", "`key=value`: policies with this label; several must all be there", aLabel},
		{"after", "the `next` of the page before", policyID},
		{"limit", "policies on a page", pageSize},
	}
	waiting = []parameter{
		{"wait", "answer when the switches of the connected cells (`applied`) or of all cells (`applied-all`) that it concerns hold the change", waitFor},
		{"timeout", "how long to wait at most, such as 500ms or 10m, which is the longest (default 30s)", anyString},
	}
	onlyIfChanged = []parameter{{"If-None-Match", "the ETag of the answer that the caller has (heeded for admins)", anyString}}
	onlyIfSeen    = []parameter{{"If-Match", "the ETag of the answer that the caller has seen: refused (412) if any policy has changed since", anyString}}
)

// nativeOperations are all operations of the native API, in the order of the document.
func nativeOperations() []operation {
	return slices.Concat(policyOperations(), fleetOperations(), cellOperations())
}

func policyOperations() []operation {
	return []operation{{
		method: http.MethodGet, path: "/policies", id: "listPolicies", who: forWriters,
		summary: "List policies in the order of their ids",
		text:    "Pages follow each other by `next` and `after`. A policy that is there all the while is on exactly one page, whatever is written meanwhile.",
		query:   selectPolicies, header: onlyIfChanged,
		replies: []reply{okay(PolicyDetailsList{}, "one page"), notModified}, handle: (*external).listDetails,
	}, {
		method: http.MethodPost, path: "/policies", id: "addPolicies", who: forWriters,
		summary: "Add policies, all or none",
		text:    "One that exists gets the new name, description and labels, and stays in its set.",
		query:   waiting, header: onlyIfSeen, body: PoliciesRequest{},
		replies: []reply{okay(PoliciesChange{}, "they are durable"), late(PoliciesChange{})}, handle: (*external).createPolicies,
	}, {
		method: http.MethodGet, path: "/policies/:id", id: "getPolicy", who: forWriters,
		summary: "Get one policy", header: onlyIfChanged,
		replies: []reply{okay(PolicyDetail{}, "the policy"), notModified}, handle: (*external).getPolicy,
	}, {
		method: http.MethodPatch, path: "/policies/:id", id: "describePolicy", who: forWriters,
		summary: "Change a policy's name, description or labels",
		text:    "What is absent stays as it is. Labels are replaced as a whole.",
		query:   waiting, header: onlyIfSeen, body: PolicyPatch{},
		replies: []reply{okay(PoliciesChange{}, "it is durable"), late(PoliciesChange{})}, handle: (*external).patchPolicy,
	}, {
		method: http.MethodDelete, path: "/policies/:id", id: "removePolicy", who: forWriters,
		summary: "Remove one policy", query: waiting, header: onlyIfSeen,
		replies: []reply{okay(PoliciesChange{}, "it is gone"), late(PoliciesChange{})}, handle: (*external).deletePolicy,
	}, {
		method: http.MethodGet, path: "/sets", id: "listSets", who: forWriters,
		summary: "List the policy sets by name", header: onlyIfChanged,
		replies: []reply{okay(SetsList{}, "all sets that have a policy"), notModified}, handle: (*external).listSets,
	}, {
		method: http.MethodGet, path: "/sets/:name", id: "getSet", who: forWriters,
		summary: "Get the policies of one set", header: onlyIfChanged,
		replies: []reply{okay(PolicyDetailsList{}, "all of them, on one page"), notModified}, handle: (*external).getSet,
	}, {
		method: http.MethodPut, path: "/sets/:name", id: "applySet", who: forWriters,
		summary: "Make a policy set what the body says, in one transaction",
		text: "A policy that is in no set joins this one; one that is in another set is a conflict (409). Without `prune` nothing is removed. " +
			"The ETag of a dry run, given as If-Match, makes sure that what was shown is what is done.",
		query: append([]parameter{
			{"prune", "remove the policies of this set that the body has not", aSwitch},
			{"dry_run", "write nothing, and answer what would be done", aSwitch},
		}, waiting...),
		header: onlyIfSeen, body: PolicySet{},
		replies: []reply{okay(PolicySetChange{}, "what was done, or would be"), late(PolicySetChange{})}, handle: (*external).putSet,
	}, {
		method: http.MethodGet, path: "/apps/:app/reachers", id: "listReachers", who: forWriters,
		summary: "Tell who may connect to an app",
		text:    "Writers may ask for the apps that they may write. Containers of apps that they may not see are left out.",
		replies: []reply{okay(ReachersList{}, "every app that may, by id")}, handle: (*external).reachers,
	}, {
		method: http.MethodGet, path: "/audit", id: "listAudit", who: forAdmins,
		summary: "Read who changed what, newest first",
		query: []parameter{
			{"app", "changes of policies that name this app", anyString},
			{"by", "changes that this caller asked for", anyString},
			{"before", "changes older than this revision: the `next` of the page before", aRevision},
			{"limit", "changes on a page", auditSize},
		},
		replies: []reply{okay(AuditList{}, "one page")}, handle: (*external).audit,
	}, {
		method: http.MethodGet, path: "/watch", id: "watchPolicies", who: forWriters,
		summary: "Follow the changes of policies as server-sent events",
		text: "Event `change` has an entry of the audit log as its data, and its revision as its id. " +
			"Event `cut` is the last one: the reader is too far behind, and has to list the policies again; its data is a problem document. " +
			"A comment every 15 s at least says that the stream lives. It ends within half a minute when its token does, or the token's scope. A request without Last-Event-ID begins with the next change.",
		header: []parameter{{"Last-Event-ID", "the id of the last event that the reader has: go on after it", aRevision}},
		replies: []reply{{
			status: http.StatusOK, text: "events, until one side ends it", body: "", media: eventsType,
		}},
		handle: (*external).watch,
	}}
}

func fleetOperations() []operation {
	return []operation{{
		method: http.MethodGet, path: "/cells", id: "listCells", who: forAdmins, summary: "List the cells that have a lease, had one that expired or were drained, by id",
		replies: []reply{okay(CellsList{}, "all of them")}, handle: (*external).listCells,
	}, {
		method: http.MethodGet, path: "/endpoints", id: "listEndpoints", who: forAdmins, summary: "List the containers' interfaces, by cell and container",
		replies: []reply{okay(EndpointsList{}, "all of them")}, handle: (*external).listEndpoints,
	}, {
		method: http.MethodGet, path: "/groups", id: "listGroups", who: forAdmins, summary: "List the group ids in use or in quarantine",
		replies: []reply{okay(GroupsList{}, "all of them")}, handle: (*external).listGroups,
	}, {
		method: http.MethodGet, path: "/cookies/:cookie", id: "explainCookie", who: forAdmins, summary: "Tell what caused a flow, by its cookie",
		replies: []reply{okay(Explanation{}, "what it was")}, handle: (*external).explain,
	}, {
		method: http.MethodGet, path: "/logging", id: "getLogging", who: forAdmins, summary: "Tell whose accepted connections are logged",
		replies: []reply{okay(Logging{}, "as it is now")}, handle: (*external).getLogging,
	}, {
		method: http.MethodPut, path: "/logging", id: "putLogging", who: forAdmins, summary: "Say whose accepted connections are logged",
		body: Logging{}, replies: []reply{okay(Logging{}, "as it is now")}, handle: (*external).putLogging,
	}}
}

// serves reports whether the server has what the operation needs.
func (s *external) serves(op operation) bool {
	switch op.id {
	case "listAudit":
		return s.Audits != nil
	case "watchPolicies":
		return s.Sets != nil && s.Watch != nil
	case "drainCell", "undrainCell", "removeCell":
		return s.Cells != nil
	}
	return op.who == forAdmins || s.Sets != nil
}

// checkQuery refuses parameters that the operation does not have: a dry_run
// with a typing error in it must not write.
func (op operation) checkQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return Invalid("query: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.ContainsFunc(op.query, func(p parameter) bool { return p.name == name }) {
			return Invalid("%.80q is no parameter of %s %s: see /openapi.json", name, op.method, Version+bracePath(op.path))
		}
	}
	return nil
}

// nativeRoutes adds the native API to a router.
func (s *external) nativeRoutes(e *echo.Echo) {
	for _, op := range nativeOperations() {
		if s.serves(op) {
			e.Add(op.method, Version+op.path, func(c echo.Context) error {
				if err := op.checkQuery(c.Request().URL.RawQuery); err != nil {
					return err
				}
				return op.handle(s, c)
			}, s.authenticate, s.admit(op.who))
		}
	}
	document := []byte(encode(openAPI()))
	e.GET("/openapi.json", func(c echo.Context) error { return c.Blob(http.StatusOK, jsonType, document) })
}
