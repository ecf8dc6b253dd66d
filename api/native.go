package api

import (
	"github.com/labstack/echo/v4"

	"github.com/weft-sdn/weft/flows"
)

// Handlers of the native listings. A list is never null.

func (s *external) listCells(c echo.Context) error {
	cells, err := s.Fleet.Cells(c.Request().Context())
	if err != nil {
		return err
	}
	return answer(c, CellsList{notNil(cells)})
}

func (s *external) listEndpoints(c echo.Context) error {
	endpoints, err := s.Fleet.Endpoints(c.Request().Context())
	if err != nil {
		return err
	}
	return answer(c, EndpointsList{notNil(endpoints)})
}

func (s *external) listGroups(c echo.Context) error {
	groups, err := s.Policies.Groups(c.Request().Context())
	if err != nil {
		return err
	}
	return answer(c, GroupsList{notNil(groups)})
}

func (s *external) explain(c echo.Context) error {
	cookie, err := flows.ParseCookie(c.Param("cookie"))
	if err != nil {
		return Invalid("cookie: %q is not one: give it as ovs-ofctl prints it, such as 0x4000000000000007", c.Param("cookie"))
	}
	explanation, err := s.Fleet.Explain(c.Request().Context(), cookie)
	if err != nil {
		return err
	}
	return answer(c, explanation)
}

// notNil makes an empty list [] in JSON, not null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
