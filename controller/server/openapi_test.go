package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/errors"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/server"
)

// described is a running controller, and what it says of itself.
type described struct {
	*server.Server
	validator.Validator
	operations []operation
}

// operation is one of the document's.
type operation struct {
	id, method, path string
	queries          []string // names of parameters that have to be more than text
	body             bool
}

func describe(t *testing.T) *described {
	dir, config := install(t)
	x := &described{Server: run(t, config)}
	if _, err := agentClient(t, x.Server, dir, "cell-1").Lease(t.Context(), api.LeaseRequest{VTEP: "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + x.External.String() + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("/openapi.json: %s, %v", resp.Status, err)
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	v, faults := validator.NewValidator(document)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	x.Validator = v
	if ok, faults := v.ValidateDocument(); !ok {
		t.Fatalf("the document is no OpenAPI 3.1: %v", texts(faults))
	}
	model, err := document.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			found := operation{id: op.OperationId, method: strings.ToUpper(method), path: path, body: op.RequestBody != nil}
			for _, p := range op.Parameters {
				schema := p.Schema.Schema()
				lax := slices.Contains(schema.Type, "array") // the validator looks at no item
				if p.In == "query" && !lax && (!slices.Contains(schema.Type, "string") || len(schema.Enum) > 0) {
					found.queries = append(found.queries, p.Name)
				}
			}
			x.operations = append(x.operations, found)
		}
	}
	return x
}

func texts(faults []*errors.ValidationError) (list []string) {
	for _, fault := range faults {
		text := fault.Message + ": " + fault.Reason
		for _, schema := range fault.SchemaValidationErrors {
			text += "; " + schema.FieldPath + " " + schema.Reason
		}
		list = append(list, text)
	}
	return list
}

// call makes a request, and checks that the answer is one that the document has.
// valid is what the document says of the request.
func (x *described) call(t *testing.T, method, path, body string, header ...string) (resp *http.Response, text string, valid bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+x.External.String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+x.Token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	valid, _ = x.ValidateHttpRequest(r)
	r.Body = io.NopCloser(strings.NewReader(body))
	if resp, err = http.DefaultClient.Do(r); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") != "text/event-stream" { // which has no end
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(raw)
	}
	resp.Body = io.NopCloser(bytes.NewReader([]byte(text)))
	if ok, faults := x.ValidateHttpResponse(r, resp); !ok {
		t.Errorf("%s %s answered %s %s, which the document does not have: %v", method, path, resp.Status, text, texts(faults))
	}
	return resp, text, valid
}

const aPolicy = `{"source":"a","destination":"b","protocol":"tcp","ports":{"start":80,"end":90},"name":"n","labels":{"k":"v"}}`

// examples are requests that each operation must accept, in the order in which
// they are made: path after the version, and body.
var examples = []struct{ id, path, body string }{
	{"addPolicies", "/policies", `{"policies":[` + aPolicy + `]}`},
	{"addPolicies", "/policies?wait=applied-all&timeout=1ms", `{"policies":[` + aPolicy + `,{"source":"c","destination":"b","protocol":"udp","ports":{"start":1,"end":65535}}]}`},
	{"listPolicies", "/policies", ""},
	{"listPolicies", "/policies?id=a&set=&label=k%3Dv&after=1&limit=1", ""},
	{"getPolicy", "/policies/1", ""},
	{"describePolicy", "/policies/1", `{"description":"d","labels":{}}`},
	{"describePolicy", "/policies/1", `{}`},
	{"applySet", "/sets/web?dry_run=true&prune=true", `{"policies":[` + aPolicy + `]}`},
	{"applySet", "/sets/web?prune=true&wait=applied", `{"policies":[` + aPolicy + `]}`},
	{"listSets", "/sets", ""},
	{"getSet", "/sets/web", ""},
	{"listReachers", "/apps/b/reachers", ""},
	{"removePolicy", "/policies/2", ""},
	{"listAudit", "/audit", ""},
	{"listAudit", "/audit?app=a&by=token&before=100&limit=2", ""},
	{"watchPolicies", "/watch", ""},
	{"listCells", "/cells", ""},
	{"listEndpoints", "/endpoints", ""},
	{"listGroups", "/groups", ""},
	{"explainCookie", "/cookies/0x4000000000000001", ""},
	{"putLogging", "/logging", `{"accepted":false,"apps":["a"]}`},
	{"getLogging", "/logging", ""},
	{"drainCell", "/cells/cell-1/drain", ""},
	{"listCells", "/cells", ""},
	{"undrainCell", "/cells/cell-1/drain", ""},
	{"removeCell", "/cells/cell-1", ""},
}

// TestOpenAPI: the document is one, the server takes what it says and answers
// what it says.
func TestOpenAPI(t *testing.T) {
	x := describe(t)
	seen := map[string]bool{}
	for _, e := range examples {
		op := x.operation(t, e.id)
		resp, text, valid := x.call(t, op.method, api.Version+e.path, e.body)
		if !valid || resp.StatusCode >= 300 {
			t.Errorf("%s %s: valid %v, %s %s", op.method, e.path, valid, resp.Status, text)
		}
		seen[e.id] = true
	}
	for _, op := range x.operations {
		if !seen[op.id] {
			t.Errorf("operation %s has no example here", op.id)
		}
	}
}

func (x *described) operation(t *testing.T, id string) operation {
	t.Helper()
	at := slices.IndexFunc(x.operations, func(op operation) bool { return op.id == id })
	if at < 0 {
		t.Fatalf("the document has no operation %s", id)
	}
	return x.operations[at]
}

// TestOpenAPIRefuses: what the document does not allow is a problem, of the
// kind that the document has, and changes nothing.
func TestOpenAPIRefuses(t *testing.T) {
	x := describe(t)
	x.call(t, "POST", api.Version+"/policies", `{"policies":[`+aPolicy+`]}`)
	before := x.revision(t)
	fill := strings.NewReplacer("{id}", "1", "{name}", "web", "{app}", "a", "{cookie}", "0x4000000000000001")
	for _, op := range x.operations {
		path := fill.Replace(op.path)
		for _, name := range op.queries {
			x.refuses(t, op.method, path+"?"+name+"=%3Fbad", "{}")
		}
		if op.body {
			for _, body := range []string{"", "{", `[]`, `7`, `"x"`, `null`, `{"nobody":"knows"}`, `{"policies":7}`, `{"policies":[{}]}`, `{"policies":[7]}`} {
				if body == "null" && op.id == "describePolicy" {
					continue // changes nothing either
				}
				x.refuses(t, op.method, path, body)
			}
		}
	}
	for _, bad := range []string{
		`"protocol":"tcp"|"protocol":"icmp"`, `"source":"a"|"source":""`, `"start":80|"start":0`, `"end":90|"end":65536`, `"start":80|"start":"80"`,
		`"labels":{"k":"v"}|"labels":{"k":7}`, `"name":"n"|"title":"n"`, `"name":"n"|"name":"` + strings.Repeat("n", 256) + `"`,
	} {
		good, bad, _ := strings.Cut(bad, "|")
		body := `{"policies":[` + strings.Replace(aPolicy, good, bad, 1) + `]}`
		x.refuses(t, "POST", api.Version+"/policies", body)
		x.refuses(t, "PUT", api.Version+"/sets/web", body)
	}
	for _, path := range []string{"/policies/0", "/policies/x", "/sets/-", "/sets/" + strings.Repeat("n", 64)} {
		x.refuses(t, "GET", api.Version+path, "")
	}
	if after := x.revision(t); after != before {
		t.Errorf("refused requests have moved the revision from %s to %s", before, after)
	}
}

func (x *described) refuses(t *testing.T, method, path, body string) {
	t.Helper()
	resp, text, valid := x.call(t, method, path, body)
	if valid || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("%s %s with %.100s: the document calls it valid: %v; answer %s %s", method, path, body, valid, resp.Status, text)
	}
}

func (x *described) revision(t *testing.T) string {
	resp, _, _ := x.call(t, "GET", api.Version+"/policies", "")
	return resp.Header.Get("ETag")
}

// TestETags: a reader that has it all is told so, and a writer that has not is refused.
func TestETags(t *testing.T) {
	x := describe(t)
	x.call(t, "POST", api.Version+"/policies", `{"policies":[`+aPolicy+`]}`)
	tag := x.revision(t)
	for _, path := range []string{"/policies", "/policies/1", "/sets"} {
		if resp, text, _ := x.call(t, "GET", api.Version+path, "", "If-None-Match", tag); resp.StatusCode != http.StatusNotModified || text != "" {
			t.Errorf("%s: %s %s", path, resp.Status, text)
		}
	}
	resp, _, _ := x.call(t, "PATCH", api.Version+"/policies/1", `{"name":"m"}`, "If-Match", tag)
	next := resp.Header.Get("ETag")
	if resp.StatusCode != http.StatusOK || next == tag || next != x.revision(t) {
		t.Errorf("with the newest ETag %s: %s, ETag %s", tag, resp.Status, next)
	}
	for _, write := range []struct{ method, path, body string }{
		{"POST", "/policies", `{"policies":[` + aPolicy + `]}`}, {"PATCH", "/policies/1", `{"name":"o"}`}, {"DELETE", "/policies/1", ""},
		{"PUT", "/sets/web", `{"policies":[]}`}, {"PUT", "/sets/web?dry_run=true", `{"policies":[]}`},
	} {
		if resp, text, _ := x.call(t, write.method, api.Version+write.path, write.body, "If-Match", tag); resp.StatusCode != http.StatusPreconditionFailed {
			t.Errorf("%s %s with an old ETag: %s %s", write.method, write.path, resp.Status, text)
		}
	}
	if got := x.revision(t); got != next {
		t.Errorf("the revision has moved from %s to %s", next, got)
	}
	if resp, text, _ := x.call(t, "DELETE", api.Version+"/policies/1", "", "If-Match", fmt.Sprintf("W/%s", next)); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a weak ETag: %s %s", resp.Status, text)
	}
}
