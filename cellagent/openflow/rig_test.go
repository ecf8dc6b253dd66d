package openflow

import (
	"strings"
	"testing"

	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// rig is a bridge of a real ovs-vswitchd.
type rig struct {
	*dummyovs.Bridge
	t testing.TB
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return &rig{dummyovs.Start(t).AddBridge("br-weft"), t}
}

// socket is the bridge's management socket.
func (r *rig) socket() string { return strings.TrimPrefix(r.Mgmt(r.Name), "unix:") }
