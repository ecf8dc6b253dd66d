// Package api is the wire: the external policy API in Cloud Foundry's shape,
// the native API beside it, and the internal API between the controller
// and its agents; servers and clients of all three. It decodes, validates,
// calls and encodes. What is allowed, stored or compiled is the controller's
// business, which it knows only through the interfaces in ports.go and cells.go. It decides
// one thing: what has to be written so that a policy set is as its file says
// (nativesets.go), against a revision that the controller checks.
//
//	cf CLI, CI, weft ──HTTP, bearer token──▶ NewExternal ──▶ Policies, Fleet, Cells ┐
//	                                                                                ├─ controller
//	agent ──mTLS, HTTP/2, NDJSON stream────▶ NewInternal ──▶ Agents ────────────────┘
//	weft doctor ──HTTP, unix socket────────▶ the cell's agent (CellClient)
//
// Start reading at external.go and internal.go: each lists its routes, one
// line per endpoint. The table in operations.go makes those of the native API,
// and its OpenAPI document. wire.go, wirenative.go, wirecell.go and policies.go
// hold every message, pinned by testdata/*.json; errors.go holds the kinds of
// failure and their statuses.
package api
