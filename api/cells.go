package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/weft-sdn/weft/flows"
)

// Cells is what the native API needs to take cells out of service and to bring
// them back. By names the caller, for the log. Zero: nothing had to change.
// NotFound: there is no such cell.
type Cells interface {
	// DrainCell has a cell start no more containers, and lose its lease when the
	// last one has ended.
	DrainCell(ctx context.Context, cell flows.CellID, by string) (Revision, error)
	// UndrainCell takes that back, also of a cell that has been drained.
	UndrainCell(ctx context.Context, cell flows.CellID, by string) (Revision, error)
	// RemoveCell ends the lease of a cell that is dead. Conflict: it is connected, or drained and asks for a lease.
	RemoveCell(ctx context.Context, cell flows.CellID, by string) (Revision, error)
}

// CellChange is the answer to a write about a cell.
type CellChange struct {
	Revision uint64 `json:"revision"` // of the change log; 0 if nothing had to change
}

var cellName = map[string]any{"type": "string", "pattern": cellID.String()}

func cellOperations() []operation {
	change := []reply{okay(CellChange{}, "it is durable")}
	return []operation{{
		method: http.MethodPost, path: "/cells/:cell/drain", id: "drainCell", who: forAdmins, summary: "Drain a cell",
		text: "It starts no more containers. When its agent has confirmed that and its last container has ended, its lease ends by itself, and it gets no other before the drain is taken back. " +
			"A drain of a cell that is away begins when its agent is back, or ends when its lease expires; a cell whose lease has expired is drained at once.",
		replies: change, handle: (*external).drainCell,
	}, {
		method: http.MethodDelete, path: "/cells/:cell/drain", id: "undrainCell", who: forAdmins, summary: "Take back a drain",
		text:    "A cell that has been drained may ask for a lease again, and is listed again when it has.",
		replies: change, handle: (*external).undrainCell,
	}, {
		method: http.MethodDelete, path: "/cells/:cell", id: "removeCell", who: forAdmins, summary: "Remove a cell that is dead",
		text: "Its lease ends at once, no other cell sends to it or accepts from it, and it is listed no more. Conflict (409) while it is connected, or may be connected to another controller on the same database, and for a drained one while its agent asks for a lease. " +
			"A cell that was not dead and comes back gets a lease again.",
		replies: change, handle: (*external).removeCell,
	}}
}

func (s *external) drainCell(c echo.Context) error   { return s.changeCell(c, s.Cells.DrainCell) }
func (s *external) undrainCell(c echo.Context) error { return s.changeCell(c, s.Cells.UndrainCell) }
func (s *external) removeCell(c echo.Context) error  { return s.changeCell(c, s.Cells.RemoveCell) }

func (s *external) changeCell(c echo.Context, change func(context.Context, flows.CellID, string) (Revision, error)) error {
	cell := flows.CellID(pathParam(c, "cell"))
	if err := CheckCell(cell); err != nil {
		return err
	}
	revision, err := change(c.Request().Context(), cell, callerOf(c).Name)
	if err != nil {
		return err
	}
	if revision != 0 {
		c.Response().Header().Set(revisionHeader, strconv.FormatUint(uint64(revision), 10))
	}
	return answer(c, CellChange{Revision: uint64(revision)})
}

// DrainCell has a cell start no more containers, and lose its lease when the
// last one has ended: Cells tells when it is drained. For a cell that is to be
// drained already, or has been, it changes nothing.
func (c *Client) DrainCell(ctx context.Context, cell string) (CellChange, error) {
	change, err := c.changeCell(ctx, http.MethodPost, cell, "/drain")
	return change, wrap("draining cell "+strconv.Quote(cell), err)
}

// UndrainCell takes that back, also of a cell that has been drained.
func (c *Client) UndrainCell(ctx context.Context, cell string) (CellChange, error) {
	change, err := c.changeCell(ctx, http.MethodDelete, cell, "/drain")
	return change, wrap("taking back the drain of cell "+strconv.Quote(cell), err)
}

// RemoveCell ends the lease of a cell that is dead. Conflict: it is connected, or drained and asks for a lease.
func (c *Client) RemoveCell(ctx context.Context, cell string) (CellChange, error) {
	change, err := c.changeCell(ctx, http.MethodDelete, cell, "")
	return change, wrap("removing cell "+strconv.Quote(cell), err)
}

func (c *Client) changeCell(ctx context.Context, method, cell, what string) (change CellChange, err error) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	_, err = c.do(ctx, method, Version+"/cells/"+url.PathEscape(cell)+what, nil, &change)
	return change, err
}
