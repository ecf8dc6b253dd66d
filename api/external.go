package api

import (
	"log/slog"
	"net/http"
	"time"
)

// externalPath and externalV1 are where Cloud Foundry's clients expect the API.
const (
	externalPath = "/networking/:version/external"
	externalV1   = "/networking/v1/external"
)

// External is what the external and native API is made of.
type External struct {
	Policies Policies
	Fleet    Fleet
	Auth     Authenticator
	Log      *slog.Logger
	Started  time.Time // for the uptime that GET / tells
	CORS     []string  // origins that browsers may call from; "*" for any
}

// external holds the handlers' dependencies.
type external struct{ External }

// NewExternal returns the handler of the external API and of the native
// listings beside it.
func NewExternal(config External) http.Handler {
	s := &external{config}
	e := newEcho(config.Log, maxBodyBytes)
	e.Pre(requestID, securityHeaders, s.allowOrigin)

	e.GET("/", s.uptime)
	e.GET("/networking", s.uptime)
	e.GET("/health", s.health)

	e.GET(externalPath+"/whoami", s.whoami, checkVersion, s.authenticate)
	e.GET(externalPath+"/policies", s.listPolicies, checkVersion, s.authenticate)
	e.POST(externalPath+"/policies", s.addPolicies, checkVersion, s.authenticate)
	e.POST(externalPath+"/policies/delete", s.removePolicies, checkVersion, s.authenticate)
	e.GET(externalPath+"/tags", s.listTags, checkVersion, s.authenticate)
	for path, methods := range map[string]string{
		"/whoami": "GET", "/policies": "POST,GET", "/policies/delete": "POST", "/tags": "GET",
	} {
		e.OPTIONS(externalPath+path, preflight(methods))
	}

	e.GET(Version+"/cells", s.listCells, s.authenticate)
	e.GET(Version+"/endpoints", s.listEndpoints, s.authenticate)
	e.GET(Version+"/groups", s.listGroups, s.authenticate)
	e.GET(Version+"/policies", s.listPolicyInfos, s.authenticate)
	e.GET(Version+"/cookies/:cookie", s.explain, s.authenticate)
	e.GET(Version+"/logging", s.getLogging, s.authenticate)
	e.PUT(Version+"/logging", s.putLogging, s.authenticate)
	return e
}
