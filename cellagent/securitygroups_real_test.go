package cellagent_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/testbed/cfstub"
)

// opens reports whether the switch lets some container connect to an address.
func (b *bed) opens(address string) bool {
	return slices.ContainsFunc(b.ovs.table(), func(f flows.Flow) bool {
		return f.Table == flows.TableEgress && strings.Contains(f.Match, "ct_nw_dst="+address) && !strings.Contains(f.String(), "actions=drop")
	})
}

// TestSecurityGroupsReachTheSwitch: a security group that changes in Cloud
// Controller is in the egress table of a container that runs within five
// seconds; what it no longer allows is gone.
func TestSecurityGroupsReachTheSwitch(t *testing.T) {
	b, folder, cf := newBed(t), t.TempDir(), cfstub.New(t)
	makeCertificates(t, folder)
	group := func(address string) {
		cf.SetSecurityGroups(cfstub.SecurityGroup{
			GUID: "db", Name: "db", RunningSpaces: []string{"zoo"}, Rules: []map[string]any{{"protocol": "tcp", "destination": address, "ports": "5432"}},
		})
	}
	group("198.51.100.1")
	config := serverConfig(folder, "127.0.0.1:0")
	config.Auth.UAA = server.UAA{URL: cf.UAA.URL, ClientID: cfstub.ClientID, ClientSecret: cfstub.ClientSecret, Verify: server.VerifyCheckToken}
	config.CloudController.URL = cf.CC.URL
	real := startServer(t, config)
	b.startAgentOf(real.Internal.String(), folder)
	ip := netip.MustParseAddr("10.255.1.2")
	err := b.hand.AddPort(t.Context(), b.cfg.Bridge, ovsdb.Port{
		Name: "c2", Container: "one", IfName: "eth0", App: "cats", IP: ip, MAC: flows.MACOf(ip).String(), BootID: b.cfg.BootID,
		Egress: "all 192.0.2.7", Space: "zoo", Workload: "app",
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the container has the group's rule and not its own", func() bool { return b.opens("198.51.100.1") && !b.opens("192.0.2.7") })
	for i, address := range []string{"198.51.100.2", "198.51.100.3", "198.51.100.4"} {
		time.Sleep(time.Duration(i) * 700 * time.Millisecond) // at different times since Cloud Controller was asked last
		begin := time.Now()
		group(address)
		for !b.opens(address) {
			if time.Since(begin) > 5*time.Second {
				t.Fatalf("not in the switch after %v:\n%v", time.Since(begin), b.ovs.table())
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Logf("in the switch after %v", time.Since(begin).Round(time.Millisecond))
	}
	if b.opens("198.51.100.1") || b.opens("198.51.100.3") {
		t.Errorf("older rules are still there:\n%v", b.ovs.table())
	}
	b.stop()
	if err := real.Stop(); err != nil {
		t.Fatal(err)
	}
}
