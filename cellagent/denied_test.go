package cellagent

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/ovsdb/mirror"
)

// TestOnlyTheControllerDeniesALease: that ovsdb-server is away when the answer
// comes is nothing that the controller said, and cuts off no container.
func TestOnlyTheControllerDeniesALease(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	lease := api.Lease{Cell: "cell-1", Subnet: "10.255.1.0/24", VNI: 1, VXLANPort: 4789}
	for name, c := range map[string]struct {
		answer error
		denied string
	}{
		"a lease":              {nil, ""},
		"the cell was drained": {api.Conflict("cell cell-1 was drained"), ""},
	} {
		a := &Agent{
			cfg: DefaultConfig(), log: slog.New(slog.DiscardHandler), lifetime: ended, db: &mirror.Client{}, // not connected
			backoff: redialFirst, faults: map[string]*fault{}, offlineSince: time.Now(),
		}
		a.cfg.Cell = "cell-1"
		a.leased(lease, c.answer)
		if a.denied != c.denied || a.faults["ovsdb"] == nil || a.faults["lease"] != nil {
			t.Errorf("%s: denied %q, faults %v", name, a.denied, a.faults)
		}
		if closed := a.closure(time.Now().Add(2 * offlineGrace)); closed.limited || strings.Contains(closed.reason, "gives the cell no lease") {
			t.Errorf("%s: the cell is closed: %+v", name, closed)
		}
	}
}
