package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent/hostnet"
)

func lookFirewalls(ctx context.Context, _ Sources, f *Facts) (err error) {
	if f.Cell.HostOn {
		f.Closed, err = hostnet.Closed(ctx, f.Cell.Bridge)
	}
	return err
}

func judgeFirewalls(f Facts) []api.Finding {
	switch {
	case !f.Cell.HostOn:
		return f.Cell.hostless(ForwardPolicy)
	case len(f.Closed) > 0:
		return []api.Finding{warning(ForwardPolicy, fmt.Sprintf("let it pass what has to do with %[1]s; with docker: iptables -I DOCKER-USER -i %[1]s -j ACCEPT; iptables -I DOCKER-USER -o %[1]s -j ACCEPT", f.Cell.Bridge),
			"%s drops what is forwarded, and has no rule about %s: containers may reach nothing outside, and mapped ports may be closed", strings.Join(f.Closed, ", "), f.Cell.Bridge)}
	}
	return []api.Finding{fine(ForwardPolicy, "no other firewall's rules drop all that is forwarded")}
}
