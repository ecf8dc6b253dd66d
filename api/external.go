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
	Policies     Policies
	Fleet        Fleet
	Auth         Authenticator
	Access       Access // nil: only administrators may do anything, and every app exists
	Log          *slog.Logger
	Started      time.Time // for the uptime that GET / tells
	CORS         []string  // origins that browsers may call from; "*" for any
	MaxPerSource int       // policies that an app may be the source of, for all but administrators; 0: any number
	SelfService  bool      // policies need no scope: Access alone says who may do what with an app
	TagDigits    int       // of a tag in GET tags, at least

	// What the native API needs beside them. Nil: not served.
	Sets   PolicySets
	Audits Auditor
	Watch  PolicyWatch
	Cells  Cells
}

// external holds the handlers' dependencies.
type external struct {
	External
	watchers watchers
}

// NewExternal returns the handler of the external API and of the native API
// beside it.
func NewExternal(config External) http.Handler {
	s := &external{External: config, watchers: watchers{own: map[string]int{}}}
	e := newEcho(config.Log, maxBodyBytes)
	e.HTTPErrorHandler = writeExternalError
	e.Pre(requestID, securityHeaders, s.allowOrigin)

	e.GET("/", s.uptime)
	e.GET("/networking", s.uptime)
	e.GET("/health", s.health)

	admin, writer := s.callers(ScopeAdmin), s.callers(ScopeAdmin, ScopeWrite)
	if s.SelfService {
		writer = s.callers()
	}
	e.GET(externalPath+"/whoami", s.whoami, checkVersion, admin)
	e.GET(externalPath+"/policies", s.listPolicies, checkVersion, writer)
	e.POST(externalPath+"/policies", s.addPolicies, checkVersion, writer)
	e.POST(externalPath+"/policies/delete", s.removePolicies, checkVersion, writer)
	e.POST(externalPath+"/policies/cleanup", s.cleanup, checkVersion, admin)
	e.GET(externalPath+"/tags", s.listTags, checkVersion, admin)
	for path, methods := range map[string]string{
		"/": "GET", "/networking": "GET", "/health": "GET",
		externalPath + "/whoami": "GET", externalPath + "/policies": "POST,GET", externalPath + "/policies/delete": "POST",
		externalPath + "/policies/cleanup": "POST", externalPath + "/tags": "GET",
	} {
		e.OPTIONS(path, preflight(methods))
	}
	s.nativeRoutes(e)
	return e
}
