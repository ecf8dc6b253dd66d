package crash

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/testbed/solo"
)

// TestAddressRests: an address that was given back is nobody's for address_rest of
// the agent's configuration file.
func TestAddressRests(t *testing.T) {
	const rest = 2 * time.Second
	c := solo.StartDummy(t)
	c.Rest(rest)
	last, next := c.Container("last", "cats"), c.Container("next", "cats")
	c.Must(last.Add())
	next.Keys["runtimeConfig"] = map[string]any{"ips": []any{last.IP()}}
	taken := time.Now()
	c.Must(last.Del())
	var said *types.Error
	if err := next.Add(); !errors.As(err, &said) || said.Code != types.ErrTryAgainLater || !strings.Contains(said.Msg, "was container last's, and rests for another") {
		t.Errorf("at once: %v", err)
	}
	c.Eventually("the address has rested", func() bool { return next.Add() == nil })
	if rested := time.Since(taken); rested < rest {
		t.Errorf("it was given out after %v, expected %v", rested, rest)
	}
	if next.IP() != last.IP() {
		t.Errorf("next has %s, expected %s", next.IP(), last.IP())
	}
}
