package api

import (
	"log/slog"
	"net/http"
	"regexp"

	"github.com/labstack/echo/v4"

	"github.com/weft-sdn/weft/flows"
)

// Internal is what the internal API is made of.
type Internal struct {
	Agents Agents
	Log    *slog.Logger
}

// internal holds the handlers' dependencies.
type internal struct{ Internal }

// NewInternal returns the handler of the internal API. It must be served with
// ServerTLS: the cell is the common name of the peer's certificate, and a
// request without one is refused.
func NewInternal(config Internal) http.Handler {
	s := &internal{config}
	e := newEcho(config.Log)
	e.Pre(requestID)
	e.POST(Version+"/lease", s.lease, certified)
	e.POST(Version+"/stream", s.stream, certified)
	e.POST(Version+"/endpoints", s.endpoints, certified)
	e.POST(Version+"/applied", s.applied, certified)
	return e
}

// cellName is what a certificate's common name must look like.
var cellName = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

const cellKey = "weft.cell"

// certified lets through only requests with a verified certificate that names a cell.
func certified(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		state := c.Request().TLS
		if state == nil || len(state.VerifiedChains) == 0 {
			return Unauthorized("a client certificate signed by the controller's CA is required")
		}
		name := state.PeerCertificates[0].Subject.CommonName
		if !cellName.MatchString(name) {
			return Forbidden("certificate's common name %q is not a cell id: 1 to 63 characters of a-z, 0-9 and '-'", name)
		}
		c.Set(cellKey, flows.CellID(name))
		return next(c)
	}
}

// cellOf returns the cell that made the request.
func cellOf(c echo.Context) flows.CellID { return c.Get(cellKey).(flows.CellID) }
