package cellagent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// closure is why the cell takes no new containers now. The zero value: it does.
type closure struct {
	reason  string
	limited bool // those that run may be cut off from others, too
}

// closure tells it from what the agent knows at now. Nothing of it touches a
// container that runs.
func (a *Agent) closure(now time.Time) closure {
	if a.denied != "" {
		return closure{"the controller gives the cell no lease: " + a.denied, true}
	}
	if reason := a.barred(); reason != "" {
		return closure{reason: reason}
	}
	if err := a.lease.expired(now); err != nil {
		return closure{err.Error(), true}
	}
	for _, what := range []struct {
		fault string
		cuts  bool // off containers that run
	}{{"ovsdb", false}, {"bridge", false}, {"switch", true}} {
		if f := a.faults[what.fault]; f != nil && now.Sub(f.Since) > offlineGrace {
			return closure{what.fault + ": " + f.Text, what.cuts}
		}
	}
	if a.stream == nil && now.Sub(a.offlineSince) > offlineGrace {
		return closure{reason: a.absent()}
	}
	return closure{}
}

// barred says why the cell, in step with its controller, is to start no
// containers, or "". One that is being started is refused, too.
func (a *Agent) barred() string {
	switch {
	case a.cfg.SingleIPOnly:
		return "its only address is its own (single_ip_only)"
	case a.draining:
		return fmt.Sprintf("it is being drained (weft cells undrain %s ends that)", a.cfg.Cell)
	}
	return ""
}

// absent says that the controller is away, and why if that is known.
func (a *Agent) absent() string {
	return fmt.Sprintf("cell agent is not connected to the controller %s: %s", a.cfg.Controller, a.why("stream", "lease"))
}

// subnetFile is what weft-cni needs to attach a container, or why it cannot.
type subnetFile struct {
	Cell    string `json:"cell"`
	Subnet  string `json:"subnet"`            // CIDR
	MTU     int    `json:"mtu"`               // of container interfaces, bytes
	RestMS  int64  `json:"address_rest_ms"`   // for how long a released address is nobody's
	Socket  string `json:"socket"`            // on which the agent listens while it runs
	Refuse  string `json:"refuse,omitempty"`  // why no container can be attached now
	Limited bool   `json:"limited,omitempty"` // and those that are may be cut off
}

// tell has the subnet file say what is. It touches no file while there is nothing
// to say: that of an earlier run holds until it is known that it does not.
func (a *Agent) tell() {
	closed := a.closure(time.Now())
	if (a.mtu == 0 || !a.lease.subnet.IsValid()) && closed.reason == "" {
		return
	}
	say := subnetFile{
		Cell: a.cfg.Cell, Subnet: a.lease.wire.Subnet, MTU: a.mtu, RestMS: a.cfg.AddressRest.Milliseconds(), Socket: a.cfg.Socket,
		Refuse: closed.reason, Limited: closed.limited,
	}
	if say == a.told {
		return
	}
	if a.told.Refuse != say.Refuse {
		a.log.Info("containers", "taken", say.Refuse == "", "reason", say.Refuse)
	}
	if !a.fault("subnet file", writeSubnetFile(a.cfg.SubnetFile, say)) {
		a.told = say
	}
}

// writeSubnetFile writes what differs from what the file says.
func writeSubnetFile(path string, content subnetFile) error {
	text, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("write subnet file: %w", err)
	}
	text = append(text, '\n')
	have, err := os.ReadFile(path)
	if err == nil && bytes.Equal(have, text) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write subnet file: %w", err)
	}
	if err := writeFile(path, text); err != nil {
		return fmt.Errorf("write subnet file: %w", err)
	}
	return nil
}
