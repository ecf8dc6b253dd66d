package api

import (
	"encoding/json"
	"strconv"

	"github.com/labstack/echo/v4"
)

// Handlers of the logging switch: decode, call, encode. Who may allow access
// may see who talks to whom, too: both need network.admin, which the holder of
// the token has.

func (s *external) getLogging(c echo.Context) error {
	logging, err := s.Fleet.Logging(c.Request().Context())
	if err != nil {
		return err
	}
	logging.Apps = notNil(logging.Apps)
	return answer(c, logging)
}

// putLogging replaces the whole setting, so it takes no half of one and no
// field that it does not know: a typing error must not switch logging off.
func (s *external) putLogging(c echo.Context) error {
	var body struct {
		Accepted *bool     `json:"accepted"`
		Apps     *[]string `json:"apps"`
	}
	decoder := json.NewDecoder(c.Request().Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return Invalid("request body: %w", err)
	}
	if body.Accepted == nil || body.Apps == nil {
		return Invalid(`request body: accepted and apps must both be given, such as {"accepted": false, "apps": ["cats"]}`)
	}
	revision, err := s.Fleet.SetLogging(c.Request().Context(), Logging{Accepted: *body.Accepted, Apps: *body.Apps}, callerOf(c).Name)
	if err != nil {
		return err
	}
	if revision != 0 {
		c.Response().Header().Set(revisionHeader, strconv.FormatUint(uint64(revision), 10))
	}
	return s.getLogging(c)
}
