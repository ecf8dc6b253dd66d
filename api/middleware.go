package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/weft-sdn/weft/flows"
)

// requestIDHeader carries the request's id, in Cloud Foundry's spelling.
const requestIDHeader = "X-Vcap-Request-Id"

// maxRequestID bounds how much of a caller's own request id is taken over.
const maxRequestID = 200

// requestID gives the request an id of its own, after the caller's if it sent
// one. It is in the answer and in the log.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Method == http.MethodOptions {
			return next(c)
		}
		id := newUUID()
		if given := headerText(c.Request().Header.Get(requestIDHeader)); given != "" {
			id = given[:min(len(given), maxRequestID)] + "::" + id
		}
		c.Response().Header().Set(requestIDHeader, id)
		return next(c)
	}
}

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand says so
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// securityHeaders sets the headers that every external answer has.
func securityHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("X-XSS-Protection", "1; mode=block")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "deny")
		h.Set("Content-Security-Policy", "frame-ancestors 'none'")
		if c.Request().TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		return next(c)
	}
}

// allowOrigin tells a browser that a page of a configured origin may read the
// answer. A foreign origin is served all the same: the token decides.
func (s *external) allowOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		origin := c.Request().Header.Get("Origin")
		switch {
		case origin == "":
		case slices.Contains(s.CORS, "*"):
			c.Response().Header().Set("Access-Control-Allow-Origin", "*")
		case slices.Contains(s.CORS, origin):
			c.Response().Header().Set("Access-Control-Allow-Origin", origin)
		}
		return next(c)
	}
}

// preflight answers OPTIONS, which needs no token.
func preflight(methods string) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("Access-Control-Allow-Methods", methods+",OPTIONS")
		c.Response().Header().Set("Access-Control-Allow-Headers", "authorization")
		return c.NoContent(http.StatusOK)
	}
}

// checkVersion refuses versions of the external API other than v0 and v1. It
// comes before authentication, as upstream.
func checkVersion(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		switch version := c.Param("version"); version {
		case "v0", "v1":
			return next(c)
		default:
			return &Error{Kind: ErrNotAcceptable, Text: fmt.Sprintf("api version '%s' not supported", version)}
		}
	}
}

// callers lets through only known callers that have one of the scopes; all
// known ones if none are given.
func (s *external) callers(scopes ...string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return s.authenticate(func(c echo.Context) error {
			caller := callerOf(c)
			if len(scopes) > 0 && !slices.ContainsFunc(scopes, caller.Has) {
				return Forbidden("provided scopes %v do not include allowed scopes %v", caller.Scopes, scopes)
			}
			return next(c)
		})
	}
}

// logRequests writes one line per request when it is over. It logs neither
// headers nor bodies nor the query, where secrets may be.
func logRequests(log *slog.Logger) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			begin := time.Now()
			err := next(c)
			if err != nil {
				c.Error(err)
			}
			attrs := []slog.Attr{
				slog.String("method", c.Request().Method),
				slog.String("path", c.Request().URL.Path),
				slog.Int("status", c.Response().Status),
				slog.Float64("took_ms", float64(time.Since(begin).Microseconds())/1000),
				slog.String("remote", c.Request().RemoteAddr),
				slog.String("request", c.Response().Header().Get(requestIDHeader)),
			}
			if cell, ok := c.Get(cellKey).(flows.CellID); ok {
				attrs = append(attrs, slog.String("cell", string(cell)))
			} else if client, ok := c.Get(clientKey).(string); ok {
				attrs = append(attrs, slog.String("client", client))
			}
			if err != nil {
				attrs = append(attrs, slog.String("error", err.Error()))
			}
			log.LogAttrs(c.Request().Context(), levelOf(c.Response().Status, err), "request", attrs...)
			return nil
		}
	}
}

// levelOf says how much a request's outcome matters: our faults are errors,
// the caller's are information, and the rest is for debugging.
func levelOf(status int, err error) slog.Level {
	switch {
	case errors.Is(err, context.Canceled):
		return slog.LevelDebug
	case status >= http.StatusInternalServerError:
		return slog.LevelError
	case status >= http.StatusBadRequest:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
