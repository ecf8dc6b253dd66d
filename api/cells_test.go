package api_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
)

// TestCells: a drain is begun, taken back and listed; a cell that is away is
// removed; what cannot be is told with its name.
func TestCells(t *testing.T) {
	x := newExternal()
	x.Cellular = []api.Cell{
		{Cell: "cell-1", VTEP: "192.0.2.1", Subnet: "10.255.1.0/24", Connected: true, Endpoints: 7},
		{Cell: "cell-2", VTEP: "192.0.2.2", Subnet: "10.255.0.1/32", SingleIP: true},
	}
	want(t, x.call("POST", "/weft/v1/cells/cell-1/drain", ""), 200, `{"revision":1}`)
	want(t, x.call("GET", "/weft/v1/cells", ""), 200,
		`{"cells":[{"cell":"cell-1","vtep":"192.0.2.1","subnet":"10.255.1.0/24","connected":true,"applied":0,"endpoints":7,"state":"draining"},`+
			`{"cell":"cell-2","vtep":"192.0.2.2","subnet":"10.255.0.1/32","connected":false,"applied":0,"endpoints":0,"single_ip":true}]}`)
	want(t, x.call("DELETE", "/weft/v1/cells/cell-1/drain", ""), 200, `{"revision":2}`)
	wantProblem(t, x.call("DELETE", "/weft/v1/cells/cell-1", ""), 409, "cell cell-1 is connected")
	want(t, x.call("DELETE", "/weft/v1/cells/cell-2", ""), 200, `{"revision":3}`)
	for _, request := range []string{"POST /weft/v1/cells/cell-2/drain", "DELETE /weft/v1/cells/cell-2/drain", "DELETE /weft/v1/cells/cell-2"} {
		method, path, _ := strings.Cut(request, " ")
		wantProblem(t, x.call(method, path, ""), 404, `there is no cell "cell-2"`)
		wantProblem(t, x.call(method, strings.Replace(path, "cell-2", "Cell%202", 1), ""), 400,
			`cell id "Cell 2": want 1 to 63 of a-z, 0-9 and '-' (it is the common name of the cell's certificate)`)
		wantProblem(t, x.call(method, path+"?force=true", ""), 400, `"force" is no parameter of `+method+` `+strings.Replace(path, "cell-2", "{cell}", 1)+`: see /openapi.json`)
	}
}

// TestCellsClient says the same as the API, and what it was doing.
func TestCellsClient(t *testing.T) {
	x := newExternal()
	x.Cellular = []api.Cell{{Cell: "cell-1", Connected: true, Endpoints: 3}}
	server := httptest.NewServer(x.handler)
	defer server.Close()
	client := api.NewClient(server.URL, token)
	if change, err := client.DrainCell(t.Context(), "cell-1"); err != nil || change.Revision != 1 {
		t.Errorf("drain: %+v, %v", change, err)
	}
	if cells, err := client.Cells(t.Context()); err != nil || cells[0].State != api.CellDraining {
		t.Errorf("cells: %+v, %v", cells, err)
	}
	if change, err := client.UndrainCell(t.Context(), "cell-1"); err != nil || change.Revision != 2 {
		t.Errorf("undrain: %+v, %v", change, err)
	}
	for want, err := range map[string]error{
		`draining cell "cell-9": there is no cell "cell-9"`:                      second(client.DrainCell(t.Context(), "cell-9")),
		`taking back the drain of cell "cell-9": there is no cell "cell-9"`:      second(client.UndrainCell(t.Context(), "cell-9")),
		`removing cell "cell-1": cell cell-1 is connected`:                       second(client.RemoveCell(t.Context(), "cell-1")),
		`removing cell "../groups": cell id "../groups": want 1 to 63 of a-z, 0`: second(client.RemoveCell(t.Context(), "../groups")),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func second(_ api.CellChange, err error) error { return err }
