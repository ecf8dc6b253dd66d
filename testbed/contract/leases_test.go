package contract

import (
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/server"
)

// TestLeases holds what section 6 says of leases, as Weft's own agents ask for
// them: the same one each time, and none when the network is full.
func TestLeases(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		lease := func(cell, vtep string) (api.Lease, error) {
			return b.lease(cell, api.LeaseRequest{VTEP: vtep})
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

func (b *bed) lease(cell string, request api.LeaseRequest) (api.Lease, error) {
	b.t.Helper()
	config, err := api.ClientTLS(b.keys(cell))
	if err != nil {
		b.t.Fatal(err)
	}
	agent := api.NewAgentClient(b.inside, config)
	defer agent.Close()
	return agent.Lease(b.t.Context(), request)
}

// TestLeasesEnd holds what section 6 says of leases that are not renewed: a full
// network gives the oldest expired one; a lease that the database does not know
// is added again, unless somebody else has it by now.
func TestLeasesEnd(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		one := api.LeaseRequest{VTEP: "192.0.2.1", Subnet: "10.255.1.0/24", Containers: 3}
		two := api.LeaseRequest{VTEP: "192.0.2.2"}
		if lease, err := b.lease("cell-1", one); err != nil || lease.Subnet != "10.255.1.0/24" || lease.ExpirySeconds != 2 {
			t.Fatalf("a lease that the database does not know: %+v, %v", lease, err)
		}
		if lease, err := b.lease("cell-2", two); api.KindOf(err) != api.ErrExhausted {
			t.Errorf("while the only block is leased: %+v, %v", lease, err)
		}
		var lease api.Lease
		for deadline := time.Now().Add(20 * time.Second); lease.Subnet == ""; time.Sleep(20 * time.Millisecond) {
			var err error
			if lease, err = b.lease("cell-2", two); err != nil && time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
		if lease.Subnet != "10.255.1.0/24" {
			t.Errorf("the oldest expired lease is not %+v", lease)
		}
		if lease, err := b.lease("cell-1", one); api.KindOf(err) != api.ErrConflict || !strings.Contains(err.Error(), "cell cell-2 at 192.0.2.2 has 10.255.1.0/24 now") {
			t.Errorf("a cell that was away for too long: %+v, %v", lease, err)
		}
	}, func(c *server.Config) { c.Networks, c.LeaseExpiry = []string{"10.255.0.0/23"}, 2*time.Second })
}

// TestSingleAddresses holds what section 6 says of single-IP leases: a /32 of the
// first block of a network, which no cell's block is.
func TestSingleAddresses(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		if lease, err := b.lease("cell-1", api.LeaseRequest{VTEP: "192.0.2.1", SingleIP: true}); err != nil || lease.Subnet != "10.255.0.1/32" {
			t.Errorf("a single address: %+v, %v", lease, err)
		}
		if lease, err := b.lease("cell-2", api.LeaseRequest{VTEP: "192.0.2.2"}); err != nil || lease.Subnet != "10.255.1.0/24" {
			t.Errorf("a cell's block: %+v, %v", lease, err)
		}
	}, func(c *server.Config) { c.Networks = []string{"10.255.0.0/23"} })
}
