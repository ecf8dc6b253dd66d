package api

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// openAPI makes the OpenAPI 3.1 document of the native API from the table of
// operations and the wire types.
func openAPI() map[string]any {
	components := schemas{}
	paths := map[string]map[string]any{}
	for _, op := range nativeOperations() {
		path := Version + bracePath(op.path)
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(op.method)] = op.document(components)
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title":   "Weft's native API",
			"version": strings.TrimPrefix(Version, "/weft/v"),
			"description": "For admins and their programs, beside the policy server's API of Cloud Foundry. " +
				"Policies are seen and written by callers with network.write too, where both apps are theirs. " +
				"Errors are problem documents (RFC 9457).",
		},
		"paths":    paths,
		"security": []any{map[string]any{"bearer": []string{}}},
		"components": map[string]any{
			"schemas":         components,
			"securitySchemes": map[string]any{"bearer": map[string]any{"type": "http", "scheme": "bearer"}},
		},
	}
}

// bracePath turns :id into {id}.
func bracePath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if name, is := strings.CutPrefix(part, ":"); is {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}

// parameters are all that the operation takes beside its body, by where they are.
func (op operation) parameters(see func(in string, p parameter)) {
	for part := range strings.SplitSeq(op.path, "/") {
		if name, is := strings.CutPrefix(part, ":"); is {
			see("path", pathParameters[name])
		}
	}
	for _, p := range op.query {
		see("query", p)
	}
	for _, p := range op.header {
		see("header", p)
	}
}

func (op operation) document(components schemas) map[string]any {
	parameters := []any{}
	op.parameters(func(in string, p parameter) {
		parameters = append(parameters, map[string]any{
			"name": p.name, "in": in, "description": p.text, "schema": p.schema, "required": in == "path",
		})
	})
	replies := map[string]any{"default": map[string]any{
		"description": "a problem", "content": content(problemType, components.of(reflect.TypeFor[Problem]())),
	}}
	for _, r := range op.replies {
		replies[strconv.Itoa(r.status)] = r.document(components)
	}
	document := map[string]any{
		"operationId": op.id, "summary": op.summary, "description": op.explanation(), "parameters": parameters, "responses": replies,
	}
	if op.body != nil {
		document["requestBody"] = map[string]any{
			"required": true, "content": content(jsonType, components.of(reflect.TypeOf(op.body))),
		}
	}
	return document
}

func (op operation) explanation() string {
	return strings.TrimSpace(op.text + " Scope: " + op.scopes() + ".")
}

func (op operation) scopes() string {
	if op.who == forAdmins {
		return ScopeAdmin
	}
	return ScopeAdmin + ", or " + ScopeWrite + " for the caller's own apps"
}

func (r reply) document(components schemas) map[string]any {
	document := map[string]any{"description": r.text}
	if r.body != nil {
		media := jsonType
		if r.media != "" {
			media = r.media
		}
		document["content"] = content(media, components.of(reflect.TypeOf(r.body)))
	}
	if r.status != http.StatusNotModified && r.media == "" {
		document["headers"] = map[string]any{
			"X-Vcap-Request-Id": map[string]any{"schema": anyString, "description": "the request's id, as in the controller's log"},
		}
	}
	return document
}

func content(media string, schema any) map[string]any {
	return map[string]any{media: map[string]any{"schema": schema}}
}

// schemas are the JSON schemas of wire types, by name.
type schemas map[string]any

// limits are what the server demands of fields beyond their types.
var limits = map[string]map[string]any{
	"PolicyRequest.source":      {"minLength": 1, "maxLength": maxAppBytes},
	"PolicyRequest.destination": {"minLength": 1, "maxLength": maxAppBytes},
	"PolicyRequest.protocol":    {"enum": []string{"tcp", "udp"}},
	"PolicyRequest.name":        {"maxLength": maxNameBytes},
	"PolicyRequest.description": {"maxLength": maxDescriptionBytes},
	"PolicyRequest.labels":      {"maxProperties": maxLabels},
	"PolicyPatch.name":          {"maxLength": maxNameBytes},
	"PolicyPatch.description":   {"maxLength": maxDescriptionBytes},
	"PolicyPatch.labels":        {"maxProperties": maxLabels},
	"PoliciesRequest.policies":  {"minItems": 1},
	"Cell.state":                {"enum": []string{CellDraining, CellDrained, CellExpired, CellReturning}},
	"Ports.start":               {"minimum": 1, "maximum": 65535},
	"Ports.end":                 {"minimum": 1, "maximum": 65535},
}

// of returns the schema of a type; that of a struct is a reference to one by
// its name. All fields are there but those that JSON may leave out.
func (s schemas) of(t reflect.Type) map[string]any {
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Uint16:
		return map[string]any{"type": "integer", "minimum": 0, "maximum": 65535}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return map[string]any{"type": "string", "format": "date-time"}
		}
		if s[t.Name()] == nil {
			object := map[string]any{"type": "object", "additionalProperties": false}
			s[t.Name()] = object
			properties, required := s.fields(t)
			object["properties"], object["required"] = properties, required
		}
		return map[string]any{"$ref": "#/components/schemas/" + t.Name()}
	}
	panic("api: no schema for " + t.String()) // a wire type that the document's test has not seen yet
}

func (s schemas) fields(t reflect.Type) (properties map[string]any, required []string) {
	properties, required = map[string]any{}, []string{}
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous {
			more, needed := s.fields(field.Type)
			for name, schema := range more {
				properties[name] = schema
			}
			required = append(required, needed...)
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		schema := s.of(field.Type)
		for key, limit := range limits[t.Name()+"."+name] {
			schema[key] = limit
		}
		properties[name] = schema
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
		}
	}
	return properties, required
}
