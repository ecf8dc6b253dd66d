package server_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// TestSettingsReachTheCells: vxlan_port, deny_networks and the log switch as an
// agent receives them over the wire, group_quarantine as the controller is told
// it, and an app's name as an agent learns it.
func TestSettingsReachTheCells(t *testing.T) {
	dir, config := install(t)
	config.DenyNetworks = []string{"169.254.169.254/32"}
	config.GroupQuarantine, config.VXLANPort = 90*time.Second, 4790
	if overlay, err := config.Overlay(); err != nil || overlay.Quarantine != 90*time.Second {
		t.Errorf("group_quarantine is %v, %v", overlay.Quarantine, err)
	}
	s := run(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	admin := api.NewClient("http://"+s.External.String(), s.Token)
	agent := agentClient(t, s, dir, "cell-1")
	if _, err := agent.Lease(ctx, api.LeaseRequest{VTEP: "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	stream, err := agent.Open(ctx, api.Hello{VTEP: "192.0.2.1", Endpoints: []api.Endpoint{{Container: "c1", App: "cats", IP: "10.255.1.2", OFPort: 10}}})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	fragment := func(key string) api.Fragment {
		for {
			msg, err := stream.Next()
			if err != nil {
				t.Fatal(err)
			}
			if i := slices.IndexFunc(msg.Set, func(f api.Fragment) bool { return f.Key == key }); i >= 0 {
				return msg.Set[i]
			}
		}
	}
	denied := func(flow flows.Flow) bool {
		return flow.Table == flows.TableEgress && strings.Contains(flow.Match, "169.254.169.254")
	}
	tunnel := func(flow flows.Flow) bool {
		return flow.Table == flows.TableEgress && strings.Contains(flow.Match, "tp_dst=4790") && flow.Actions == "drop"
	}
	base := fragment("base")
	for what, holds := range map[string]func(flows.Flow) bool{"denies the network": denied, "keeps VXLAN inside": tunnel} {
		if !slices.ContainsFunc(base.Flows, holds) {
			t.Errorf("no flow %s:\n%s", what, base.Flows)
		}
	}
	quiet := fragment("endpoint/c1") // with the group id that it has by now
	if now, err := admin.SetLogging(ctx, api.Logging{Apps: []string{"cats"}}); err != nil || now.Accepted || len(now.Apps) != 1 {
		t.Fatalf("logging %+v, %v", now, err)
	}
	if loud := fragment("endpoint/c1"); loud.Hash == quiet.Hash {
		t.Error("the log switch changed nothing on the cell")
	}
	names, err := agent.Groups(ctx, []uint16{1})
	if err != nil || len(names) != 1 || names[0].App != "cats" {
		t.Errorf("names %+v, %v", names, err)
	}
}
