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
