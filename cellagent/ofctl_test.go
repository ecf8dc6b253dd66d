package cellagent_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/cellagent"
)

// TestSwitchThatHangsIsSaid: not only that ovs-ofctl was killed.
func TestSwitchThatHangsIsSaid(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "br-weft.mgmt")
	listener, err := net.Listen("unix", socket) // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := cellagent.NewSwitch("ovs-ofctl", socket).DumpFlows(ctx); err == nil || !strings.Contains(err.Error(), "the switch does not answer") {
		t.Errorf("got %v", err)
	}
}
