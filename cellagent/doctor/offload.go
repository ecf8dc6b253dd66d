package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/containernetworking/plugins/pkg/netlinksafe"
	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/api"
)

// Device is a network device by which packets to other cells leave.
type Device struct {
	Name     string
	Driver   string          // as ethtool -i says it, "" for none
	Features map[string]bool // those that quirks are about, as far as the device has them
}

func lookDevices(_ context.Context, _ Sources, f *Facts) error {
	if f.Underlay.Name == "" {
		return nil
	}
	links, err := netlinksafe.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	tool, err := ethtool.NewEthtool()
	if err != nil {
		return fmt.Errorf("ethtool: %w", err)
	}
	defer tool.Close()
	for _, name := range below(links, f.Underlay.Name) {
		d := Device{Name: name, Features: map[string]bool{}}
		if d.Driver, err = tool.DriverName(name); err != nil && !errors.Is(err, syscall.EOPNOTSUPP) {
			return fmt.Errorf("driver of %s: %w", name, err)
		}
		features, err := tool.Features(name)
		if err != nil && !errors.Is(err, syscall.EOPNOTSUPP) {
			return fmt.Errorf("features of %s: %w", name, err)
		}
		for _, feature := range quirkable {
			if on, has := features[feature]; has {
				d.Features[feature] = on
			}
		}
		f.Devices = append(f.Devices, d)
	}
	return nil
}

// below returns the devices that do the work of one: itself, or those below a
// bond, a bridge or a VLAN.
func below(links []netlink.Link, name string) []string {
	var found []string
	seen := map[int]bool{} // what another namespace numbers may look like a circle
	var descend func(netlink.Link)
	descend = func(link netlink.Link) {
		if seen[link.Attrs().Index] {
			return
		}
		seen[link.Attrs().Index] = true
		stacked := slices.Contains([]string{"vlan", "macvlan", "ipvlan"}, link.Type()) // a veth's parent is its peer
		lowest := true
		for _, other := range links {
			if other.Attrs().MasterIndex == link.Attrs().Index || (stacked && other.Attrs().Index == link.Attrs().ParentIndex) {
				lowest = false
				descend(other)
			}
		}
		if lowest {
			found = append(found, link.Attrs().Name)
		}
	}
	for _, link := range links {
		if link.Attrs().Name == name {
			descend(link)
		}
	}
	return found
}

func judgeDevices(f Facts) []api.Finding {
	if f.Cell.Userspace {
		return []api.Finding{fine(Offload, "there is no tunnel whose packets a network device could break")}
	}
	var bad []api.Finding
	var seen []string
	for _, d := range f.Devices {
		for _, q := range quirks {
			var on []string
			for _, feature := range q.features {
				if q.driver == d.Driver && d.Features[feature] {
					on = append(on, feature)
				}
			}
			if len(on) > 0 {
				bad = append(bad, warning(Offload, fmt.Sprintf("ethtool -K %s %s off, at each boot", d.Name, strings.Join(on, " off ")),
					"%s (driver %s) has %s on: %s", d.Name, d.Driver, strings.Join(on, " and "), q.breaks))
			}
		}
		seen = append(seen, d.String())
	}
	switch {
	case len(bad) > 0:
		return bad
	case len(seen) == 0:
		return []api.Finding{warning(Offload, "set underlay_ip in the agent's file to an address of this host", "not known: no interface carries underlay_ip %v", f.Cell.UnderlayIP)}
	}
	return []api.Finding{fine(Offload, "nothing is known against %s", strings.Join(seen, ", nor against "))}
}

// String is the device with the features as seen.
func (d Device) String() string {
	var words []string
	for _, feature := range quirkable {
		if on, has := d.Features[feature]; has {
			words = append(words, feature+map[bool]string{true: " on", false: " off"}[on])
		}
	}
	return fmt.Sprintf("%s (driver %s: %s)", d.Name, cmp.Or(d.Driver, "none"), cmp.Or(strings.Join(words, ", "), "no offload"))
}
