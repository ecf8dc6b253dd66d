package contract

import (
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/server"
)

// TestLeases holds what section 6 says of leases, as Weft's own agents ask for
// them: the same one each time, and none when the network is full.
func TestLeases(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		lease := func(cell, vtep string) (api.Lease, error) {
			config, err := api.ClientTLS(b.keys(cell))
			if err != nil {
				t.Fatal(err)
			}
			return api.NewAgentClient(b.inside, config).Lease(t.Context(), api.LeaseRequest{VTEP: vtep})
		}
		first, err := lease("cell-1", "192.0.2.1")
		if err != nil || first.Subnet != "10.255.1.0/24" {
			t.Fatalf("lease %+v, %v", first, err)
		}
		if again, err := lease("cell-1", "192.0.2.7"); err != nil || again.Subnet != first.Subnet {
			t.Errorf("lease of the same cell %+v, %v", again, err)
		}
		if bad, err := lease("cell-1", "banana"); api.KindOf(err) != api.ErrInvalid {
			t.Errorf("lease of a bad address %+v, %v", bad, err)
		}
		if other, err := lease("cell-2", "192.0.2.2"); api.KindOf(err) != api.ErrExhausted {
			t.Errorf("lease in a full network %+v, %v", other, err)
		}
	}, func(c *server.Config) { c.Networks = []string{"10.255.0.0/23"} })
}
