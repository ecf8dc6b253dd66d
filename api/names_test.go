package api_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// TestAgentsLearnNames: an agent asks whose group ids are, more of them than
// one request holds, and those that nobody has are left out.
func TestAgentsLearnNames(t *testing.T) {
	x := newInside(t)
	agent := x.agent(t, "cell-1")
	for i := range 1200 { // app-0 is the first to be named, with group id 101
		p := []api.Policy{{From: flows.AppID(fmt.Sprintf("app-%d", i)), To: "app-0", Protocol: flows.TCP, Ports: flows.PortRange{First: 80, Last: 80}}}
		if _, err := x.AddPolicies(t.Context(), p, api.Order{}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := agent.Groups(t.Context(), []uint16{102, 101, 102, 99, 40000})
	if err != nil || len(got) != 2 || got[0].Group != 101 || got[0].App != "app-0" || got[1].Group != 102 || got[1].App != "app-1" {
		t.Errorf("groups %v, %v, want 101 of app-0 and 102 of app-1", got, err)
	}
	var many []uint16
	for id := uint16(1); id < 3000; id++ {
		many = append(many, id)
	}
	if got, err := agent.Groups(t.Context(), many); err != nil || len(got) != 1200 || got[1199].App != "app-1199" {
		t.Errorf("%d groups, %v, want 1200", len(got), err)
	}
	if got, err := agent.Groups(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("asked for nothing: %v, %v", got, err)
	}
	config, err := api.ClientTLS(x.files("cell-1"))
	if err != nil {
		t.Fatal(err)
	}
	raw := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	for n, status := range map[int]int{1000: 200, 1001: 400} {
		resp, err := raw.Get(x.url + "/weft/v1/groups?id=7" + strings.Repeat(",7", n-1))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != status || (status == 400) != strings.Contains(string(text), "more than 1000 group ids") {
			t.Errorf("%d ids: %d %s", n, resp.StatusCode, text)
		}
	}
	if _, err := agent.Groups(t.Context(), []uint16{0}); !errors.Is(err, api.ErrInvalid) {
		t.Errorf("group 0 is nobody's: %v", err)
	}
}
