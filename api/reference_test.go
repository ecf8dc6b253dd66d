package api

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

// externalReference says of each route of Cloud Foundry's API, and of those
// that every server has, what docs/api.md does. The contract has the details.
var externalReference = []struct{ method, path, scope, section, text string }{
	{"GET", "/", "", "1.1", "how long the server is up, as text"},
	{"GET", "/networking", "", "1.1", "the same"},
	{"GET", "/health", "", "1.13", "200 if the database answers"},
	{"GET", externalPath + "/whoami", "admin", "1.12", "the caller's name"},
	{"GET", externalPath + "/policies", "admin, write", "1.5, 1.6, 1.11", "list policies; `?id=`, `?source_id=`, `?dest_id=`"},
	{"POST", externalPath + "/policies", "admin, write", "1.7 to 1.10", "add policies, all or none; `?wait=applied` and `?timeout=` are ours"},
	{"POST", externalPath + "/policies/delete", "admin, write", "1.7 to 1.9", "remove policies, all or none; `?wait=` as above"},
	{"POST", externalPath + "/policies/cleanup", "admin", "1.12", "remove the policies of apps that are gone"},
	{"GET", externalPath + "/tags", "admin", "1.12, 5", "the tags of the apps that policies name"},
	{"GET", "/openapi.json", "", "", "the native API as an OpenAPI 3.1 document"},
}

// everything is a server that serves all operations. Nothing is called.
func everything() *echo.Echo {
	return NewExternal(External{
		Sets: struct{ PolicySets }{}, Audits: struct{ Auditor }{}, Watch: struct{ PolicyWatch }{}, Cells: struct{ Cells }{},
		Auth: TokenAuth("x"), Log: slog.New(slog.DiscardHandler),
	}).(*echo.Echo)
}

// TestRoutesAreDocumented, each of them, and nothing else is.
func TestRoutesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, route := range externalReference {
		documented[route.method+" "+route.path] = true
	}
	for path, methods := range openAPI()["paths"].(map[string]map[string]any) {
		for method := range methods {
			documented[strings.ToUpper(method)+" "+path] = true
		}
	}
	for _, route := range everything().Routes() {
		if route.Method == http.MethodOptions {
			continue // preflights, of the others
		}
		path := route.Path
		if strings.HasPrefix(path, Version) {
			path = bracePath(path)
		}
		key := route.Method + " " + path
		if !documented[key] {
			t.Errorf("%s is served, and not documented", key)
		}
		delete(documented, key)
	}
	for key := range documented {
		t.Errorf("%s is documented, and not served", key)
	}
}

// TestReference: docs/api.md is what the table of operations and the wire types
// say. Run with WEFT_GOLDEN=1 to write it anew.
func TestReference(t *testing.T) {
	const file = "../docs/api.md"
	want := reference(t)
	if os.Getenv("WEFT_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("%s is stale (%v): run make golden", file, err)
	}
}

// TestLimitsAreOfFields: a limit of a field that has another name now says nothing.
func TestLimitsAreOfFields(t *testing.T) {
	components := openAPI()["components"].(map[string]any)["schemas"].(schemas)
	for name := range limits {
		of, field, _ := strings.Cut(name, ".")
		object, _ := components[of].(map[string]any)
		if properties, _ := object["properties"].(map[string]any); properties[field] == nil {
			t.Errorf("%s is no field of the document", name)
		}
	}
}

const referenceHead = `# The controller's API

This file is made from the code: ` + "`make golden`" + ` writes it, and a test fails when it is
stale. The native API is described for programs by the OpenAPI 3.1 document that
every controller serves at ` + "`/openapi.json`" + `; this is the same for people.

All of it is served where ` + "`listen`" + ` says. Callers prove who they are as
` + "`auth.mode`" + ` says, with a bearer token or a certificate. The internal API, for
agents, is served where ` + "`internal_listen`" + ` says: [compatibility.md](compatibility.md)
has its routes for agents that are not ours.

## Cloud Foundry's policy server API

Unmodified clients of Cloud Foundry use this one. Sections are those of the
contract of Cloud Foundry's container networking; errors have its shape,
` + "`{\"error\": \"...\"}`" + `. ` + "`:version`" + ` is v0 or v1.

| route | scope | contract | what it does |
|---|---|---|---|
`

const nativeHead = `
## Native API

For admins and their programs. The path of each operation begins with ` + "`" + Version + "`" + `:

    curl -H "Authorization: Bearer $(cat /etc/weft/token)" http://127.0.0.1:4002` + Version + `/policies

**Who may.** ` + "`network.admin`" + ` may do everything. Callers with ` + "`network.write`" + ` see and
write policies whose two apps are both theirs, as Cloud Controller says, and may
ask who reaches their apps. All else is 403.

**Errors** are problem documents (RFC 9457, ` + "`application/problem+json`" + `): ` + "`detail`" + `
names the field and its value, ` + "`kind`" + ` is for programs, ` + "`instance`" + ` has the request's
id as the log has it. The kinds are [below](#kinds-of-errors).

**Bodies** and queries may not have fields and parameters that nobody knows, so that
a typing error is told. A body has at most 10 MiB.

**Revisions.** The ETag of all answers about policies is the revision that last
changed any policy. With ` + "`If-Match`" + ` a write is refused (412) if that is another
one by now; without it, it is done to the policies as they are. Each write is one
transaction. For admins ` + "`If-None-Match`" + ` answers 304 if nothing has changed.

**Waiting.** A write answers when it is durable. With ` + "`?wait=applied`" + ` it answers when
the switches of the cells that are connected to this controller hold it, or 202
with the ` + "`pending`" + ` ones at the timeout.

`

func reference(t *testing.T) string {
	var out strings.Builder
	out.WriteString(referenceHead)
	for _, r := range externalReference {
		fmt.Fprintf(&out, "| `%s %s` | %s | %s | %s |\n", r.method, r.path, cmp.Or(r.scope, "none"), cmp.Or(r.section, "ours"), r.text)
	}
	out.WriteString(nativeHead)
	for _, op := range nativeOperations() {
		op.reference(&out)
	}
	writeKinds(t, &out)
	writeTypes(t, &out)
	return out.String()
}

// writeKinds lists the kinds of errors with the comments that they have in the code.
func writeKinds(t *testing.T, out *strings.Builder) {
	out.WriteString("## Kinds of errors\n\n| kind | status | |\n|---|---|---|\n")
	parsed, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if spec, is := n.(*ast.ValueSpec); is {
			if of, is := spec.Type.(*ast.Ident); is && of.Name == "Kind" {
				kind, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(out, "| `%s` | %d | %s |\n", kind, statusOf(Kind(kind)), strings.TrimSpace(spec.Comment.Text()))
			}
		}
		return true
	})
	out.WriteString("\n")
}

func (op operation) reference(out *strings.Builder) {
	text := strings.TrimSpace(op.summary + ". " + op.text)
	fmt.Fprintf(out, "### %s %s\n\n%s\n\nScope: %s.\n\n", op.method, bracePath(op.path), text, op.scopes())
	op.parameters(func(in string, p parameter) {
		fmt.Fprintf(out, "- %s `%s`: %s", in, p.name, p.text)
		if most, bounded := p.schema["maximum"]; bounded {
			fmt.Fprintf(out, ", at most %v", most)
		}
		if absent, has := p.schema["default"]; has {
			fmt.Fprintf(out, " (default %v)", absent)
		}
		out.WriteString("\n")
	})
	if op.body != nil {
		fmt.Fprintf(out, "- body: %s\n", typeLink(reflect.TypeOf(op.body)))
	}
	for _, r := range op.replies {
		fmt.Fprintf(out, "- answer %d", r.status)
		switch {
		case r.media != "":
			fmt.Fprintf(out, " (%s)", r.media)
		case r.body != nil:
			fmt.Fprintf(out, " (%s)", typeLink(reflect.TypeOf(r.body)))
		}
		fmt.Fprintf(out, ": %s\n", r.text)
	}
	out.WriteString("\n")
}

// typeLink is a type as a reader sees it, with a link if it has a section.
func typeLink(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return typeLink(t.Elem())
	case t.Kind() == reflect.Slice:
		return "list of " + typeLink(t.Elem())
	case t.Kind() == reflect.Map:
		return "object of " + typeLink(t.Elem())
	case t.Kind() == reflect.Struct && t.PkgPath() != "time":
		return "[" + t.Name() + "](#" + strings.ToLower(t.Name()) + ")"
	case t.Kind() == reflect.Struct:
		return "time"
	case t.Kind() == reflect.Int || t.Kind() == reflect.Uint16 || t.Kind() == reflect.Uint64:
		return "number"
	}
	return t.Kind().String()
}

// writeTypes describes every type of the native API with the comments that
// its fields have in the code.
func writeTypes(t *testing.T, out *strings.Builder) {
	found := map[string]reflect.Type{}
	collect(reflect.TypeFor[Problem](), found)
	for _, op := range nativeOperations() {
		if op.body != nil {
			collect(reflect.TypeOf(op.body), found)
		}
		for _, r := range op.replies {
			if r.body != nil {
				collect(reflect.TypeOf(r.body), found)
			}
		}
	}
	comments := fieldComments(t)
	out.WriteString("## Types of the native API\n")
	for _, name := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(out, "\n### %s\n\n| field | type | |\n|---|---|---|\n", name)
		for _, field := range reflect.VisibleFields(found[name]) {
			key, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Anonymous || key == "" {
				continue
			}
			owner := found[name]
			if len(field.Index) > 1 {
				owner = owner.Field(field.Index[0]).Type
			}
			text := comments[owner.Name()+"."+field.Name]
			if strings.Contains(options, "omitempty") {
				text = strings.TrimPrefix(text+" (may be absent)", " ")
			}
			fmt.Fprintf(out, "| `%s` | %s | %s |\n", key, typeLink(field.Type), text)
		}
	}
}

// collect finds the structs that a type is made of.
func collect(t reflect.Type, found map[string]reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		collect(t.Elem(), found)
	case reflect.Struct:
		if t.PkgPath() == "time" || found[t.Name()] != nil {
			return
		}
		found[t.Name()] = t
		for i := range t.NumField() {
			collect(t.Field(i).Type, found)
		}
	}
}

// fieldComments reads the comments of this package's struct fields, as Type.Field.
func fieldComments(t *testing.T) map[string]string {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, is := n.(*ast.TypeSpec)
			if !is {
				return true
			}
			if object, is := spec.Type.(*ast.StructType); is {
				for _, field := range object.Fields.List {
					text := strings.Join(strings.Fields(field.Doc.Text()+" "+field.Comment.Text()), " ")
					for _, name := range field.Names {
						comments[spec.Name.Name+"."+name.Name] = strings.ReplaceAll(text, "|", `\|`)
					}
				}
			}
			return false
		})
	}
	return comments
}
