// Package api is the wire: the external policy API in Cloud Foundry's shape,
// the native listings beside it, and the internal API between the controller
// and its agents; servers and clients of all three. It decodes, validates,
// calls and encodes. It decides nothing: what is allowed, stored or compiled
// is the controller's business, which it knows only through the interfaces in
// ports.go.
//
//	cf CLI, CI, weft ──HTTP, bearer token──▶ NewExternal ──▶ Policies, Fleet ┐
//	                                                                        ├─ controller
//	agent ──mTLS, HTTP/2, NDJSON stream────▶ NewInternal ──▶ Agents ─────────┘
//
// Start reading at external.go and internal.go: each lists its routes, one
// line per endpoint. wire.go and policies.go hold every message, pinned by
// testdata/*.json; errors.go holds the kinds of failure and their statuses.
package api
