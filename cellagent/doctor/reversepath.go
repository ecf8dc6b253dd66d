package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/containernetworking/plugins/pkg/netlinksafe"
	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/api"
)

// Values of rp_filter. What counts for an interface is the larger of its own and
// that of "all" (ip-sysctl.rst of the kernel).
const (
	rpOff    = 0
	rpStrict = 1 // the route back to the sender must leave by the interface that the packet came in by
	rpLoose  = 2 // there must be a route back
)

// Return is the way back to who sends packets that come in by an interface. A
// filter that is strict does no harm where it leads out by the same one: package
// hostnet has a test of that with real packets for what containers send.
type Return struct {
	Who     string     // for people
	Source  netip.Addr // of the packets
	To      netip.Addr // their destination, which rules of routing may look at; not valid: any
	In, Out string     // interfaces; no Out: there is no route back
	Filter  int        // rp_filter that counts for In
}

// lookReturns looks at what containers send to the host, and what the other
// cells send by the tunnels. Where the VTEP is on a loopback, packets come in
// by an interface that we do not know.
func lookReturns(_ context.Context, _ Sources, f *Facts) error {
	var all []Return
	if f.Cell.HostOn && f.Cell.Lease.IsValid() {
		all = append(all, Return{Who: "this cell's containers", Source: f.Cell.Lease.Addr().Next(), In: f.Cell.Bridge})
	}
	if u := f.Underlay; u.Name != "" && !u.Inner && !f.Cell.Userspace {
		for _, vtep := range f.Cell.Peers {
			all = append(all, Return{Who: "the cell at " + vtep.String(), Source: vtep, To: f.Cell.UnderlayIP, In: u.Name})
		}
		if len(all) == 0 || all[len(all)-1].In != u.Name {
			all = append(all, Return{In: u.Name}) // for its setting alone
		}
	}
	names, err := interfaceNames()
	if err != nil {
		return err
	}
	for i, r := range all {
		if all[i].Filter, err = reversePathFilter(r.In); err != nil {
			return err
		}
		if r.Source.IsValid() {
			if all[i].Out, err = wayTo(r.Source, r.To, names); err != nil {
				return err
			}
		}
	}
	f.Returns = all
	return nil
}

func interfaceNames() (map[int]string, error) {
	links, err := netlinksafe.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	names := make(map[int]string, len(links))
	for _, link := range links {
		names[link.Attrs().Index] = link.Attrs().Name
	}
	return names, nil
}

// wayTo is the interface by which packets to an address leave, "" if none.
func wayTo(to, from netip.Addr, names map[int]string) (string, error) {
	routes, err := netlink.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{SrcAddr: from.AsSlice()})
	if errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("route to %v: %w", to, err)
	}
	if len(routes) == 0 {
		return "", nil
	}
	return names[routes[0].LinkIndex], nil
}

// reversePathFilter is the value that counts for an interface.
func reversePathFilter(device string) (int, error) {
	all, err := readSetting("conf/all/rp_filter")
	if err != nil {
		return 0, err
	}
	own, err := readSetting(filepath.Join("conf", device, "rp_filter"))
	return max(all, own), err
}

// readSetting reads one of the kernel's settings of IPv4.
func readSetting(key string) (int, error) {
	text, err := os.ReadFile(filepath.Join("/proc/sys/net/ipv4", key))
	if err != nil {
		return 0, err
	}
	value, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("net.ipv4.%s: %w", strings.ReplaceAll(key, "/", "."), err)
	}
	return value, nil
}

// drops reports whether the filter keeps the packets out.
func (r Return) drops() bool {
	return r.Source.IsValid() && r.In != r.Out && (r.Filter == rpStrict || (r.Filter != rpOff && r.Out == ""))
}

// judgeReturns makes one finding of all who come in by one interface and would
// be answered by another: there may be a thousand cells.
func judgeReturns(f Facts) []api.Finding {
	var bad []api.Finding
	var filters []string
	alike := map[Return][]Return{}
	var order []Return
	for _, r := range f.Returns {
		filters = append(filters, fmt.Sprintf("%d on %s", r.Filter, r.In))
		if !r.drops() {
			continue
		}
		kind := Return{In: r.In, Out: r.Out, Filter: r.Filter}
		if alike[kind] == nil {
			order = append(order, kind)
		}
		alike[kind] = append(alike[kind], r)
	}
	for _, kind := range order {
		bad = append(bad, f.dropped(alike[kind]))
	}
	if len(bad) > 0 {
		return bad
	}
	if len(filters) == 0 {
		return []api.Finding{fine(ReversePath, "no interface is concerned")}
	}
	slices.Sort(filters)
	return []api.Finding{fine(ReversePath, "%s; the routes back leave by where packets come in", strings.Join(slices.Compact(filters), ", "))}
}

// dropped is the finding about packets that the filter keeps out, all by the
// same interfaces.
func (f Facts) dropped(all []Return) api.Finding {
	r, more, leaves := all[0], "", "leaves by "+all[0].Out
	if n := len(all) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	if r.Out == "" {
		leaves = "does not exist"
	}
	text := fmt.Sprintf("packets of %s%s come in by %s, the route back to %v %s, and so rp_filter %d drops them", r.Who, more, r.In, r.Source, leaves, r.Filter)
	if r.In == f.Cell.Bridge {
		return failure(ReversePath, fmt.Sprintf("ip route get %v shows the route that is in the way; or sysctl -w net.ipv4.conf.%s.rp_filter=2", r.Source, r.In), "%s", text)
	}
	// They may come in by the other interface, too, which we cannot see.
	return warning(ReversePath, fmt.Sprintf("sysctl -w net.ipv4.conf.%s.rp_filter=2, in /etc/sysctl.d too, or a route by %s", r.In, r.In), "%s", text)
}
