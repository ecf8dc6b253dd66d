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
	Names  Names // nil: not served
	Log    *slog.Logger

	// What clients that are no cells may ask: both, or nil for not served.
	Policies   Policies
	Identities Identities
	TagDigits  int // of a tag, at least
}

// internal holds the handlers' dependencies.
type internal struct{ Internal }

// NewInternal returns the handler of the internal API. It must be served with
// ServerTLS: the cell is the common name of the peer's certificate, and a
// request without one is refused.
func NewInternal(config Internal) http.Handler {
	s := &internal{config}
	e := newEcho(config.Log, maxAgentBodyBytes)
	e.Pre(requestID, strictTransport)
	e.Use(noOptions)
	e.POST(Version+"/lease", s.lease, certified)
	e.POST(Version+"/stream", s.stream, certified)
	e.POST(Version+"/endpoints", s.endpoints, certified)
	e.POST(Version+"/applied", s.applied, certified)
	if config.Names != nil {
		e.GET(Version+"/groups", s.groups, certified)
	}
	if config.Identities != nil {
		s.identityRoutes(e)
	}
	return e
}

// cellID is what may be the common name of a cell's certificate.
var cellID = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

// CheckCell reports what is wrong with a cell id.
func CheckCell(cell flows.CellID) error {
	if !cellID.MatchString(string(cell)) {
		return Invalid("cell id %.80q: want 1 to 63 of a-z, 0-9 and '-' (it is the common name of the cell's certificate)", string(cell))
	}
	return nil
}

const (
	cellKey   = "weft.cell"
	clientKey = "weft.client"
)

// identified lets through only requests with a verified certificate.
func identified(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		state := c.Request().TLS
		if state == nil || len(state.VerifiedChains) == 0 {
			return Unauthorized("a client certificate signed by the controller's CA is required")
		}
		c.Set(clientKey, state.PeerCertificates[0].Subject.CommonName)
		return next(c)
	}
}

// certified lets through only requests with a verified certificate that names a cell.
func certified(next echo.HandlerFunc) echo.HandlerFunc {
	return identified(func(c echo.Context) error {
		cell := flows.CellID(clientOf(c))
		if err := CheckCell(cell); err != nil {
			return Forbidden("the certificate is not a cell's: %w", err)
		}
		c.Set(cellKey, cell)
		return next(c)
	})
}

// cellOf returns the cell that made the request.
func cellOf(c echo.Context) flows.CellID { return c.Get(cellKey).(flows.CellID) }

// clientOf returns the common name of the certificate that the request came with.
func clientOf(c echo.Context) string { return c.Get(clientKey).(string) }
