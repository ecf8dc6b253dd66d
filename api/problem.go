package api

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
)

const problemType = "application/problem+json"

// writeExternalError renders an error in the shape of the API that was asked:
// problem documents under the native API's path, Cloud Foundry's elsewhere.
func writeExternalError(err error, c echo.Context) {
	if strings.HasPrefix(c.Request().URL.Path, Version+"/") {
		writeProblem(err, c)
		return
	}
	writeError(err, c)
}

// writeProblem renders an error as a problem document (RFC 9457). The kind is
// in a header too, as everywhere.
func writeProblem(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	problem := problemOf(err, c)
	header := c.Response().Header()
	header.Set(kindHeader, problem.Kind)
	if problem.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	_ = c.Blob(problem.Status, problemType, []byte(encode(problem))) // fails only if the caller is gone
}

func problemOf(err error, c echo.Context) Problem {
	problem := Problem{Type: "about:blank"}
	var route *echo.HTTPError
	if errors.As(err, &route) {
		problem.Status = route.Code
		problem.Kind = string(ErrInvalid) // a method that the path does not have
		problem.Detail = c.Request().Method + " " + c.Request().URL.Path + " is not part of the API: see /openapi.json"
		if route.Code == http.StatusNotFound {
			problem.Kind = string(ErrNotFound)
		}
	} else {
		kind, status, text, detail := describe(err)
		if detail != "" {
			text += ": " + detail
		}
		problem.Kind, problem.Status, problem.Detail = string(kind), status, text
	}
	problem.Title = http.StatusText(problem.Status)
	if id := c.Response().Header().Get(requestIDHeader); id != "" {
		problem.Instance = "urn:weft:request:" + url.PathEscape(id)
	}
	return problem
}
