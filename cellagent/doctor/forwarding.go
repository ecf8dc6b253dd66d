package doctor

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/weft-sdn/weft/api"
)

// Forwarding is whether the kernel forwards IPv4 packets.
type Forwarding struct {
	On  bool     // ip_forward
	Off []string // interfaces that have it switched off for themselves
}

// lookForwarding looks at the settings of the interfaces, too: those count, and
// ip_forward only sets them all when it is written.
func lookForwarding(_ context.Context, _ Sources, f *Facts) error {
	if !f.Cell.HostOn {
		return nil
	}
	on, err := readSetting("ip_forward")
	if err != nil {
		return err
	}
	f.Forwarding.On = on == 1
	for _, device := range []string{f.Cell.Bridge, f.Underlay.Name} {
		if device == "" {
			continue
		}
		on, err := readSetting(filepath.Join("conf", device, "forwarding"))
		if err != nil {
			return err
		}
		if on != 1 {
			f.Forwarding.Off = append(f.Forwarding.Off, device)
		}
	}
	return nil
}

func judgeForwarding(f Facts) []api.Finding {
	switch forwarding := f.Forwarding; {
	case !f.Cell.HostOn:
		return f.Cell.hostless(IPForward)
	case !forwarding.On:
		return []api.Finding{failure(IPForward, "weft-agent sets it again at each reconcile_interval; grep -r ip_forward /etc/sysctl.d finds who takes it back",
			"net.ipv4.ip_forward is 0: containers reach nothing outside, and no mapped port is reached")}
	case len(forwarding.Off) > 0:
		off := strings.Join(forwarding.Off, " and ")
		return []api.Finding{failure(IPForward, "sysctl -w net.ipv4.conf."+strings.Join(forwarding.Off, ".forwarding=1 net.ipv4.conf.")+".forwarding=1",
			"net.ipv4.ip_forward is 1, but forwarding is 0 on %s: what comes in there goes no further", off)}
	}
	return []api.Finding{fine(IPForward, "net.ipv4.ip_forward is 1")}
}
