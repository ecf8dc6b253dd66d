package hostnet

import "fmt"

// familyBridge and familyInet are the families of our two tables.
const (
	familyBridge = "bridge"
	familyInet   = "inet"
)

// bridgeTable logs and answers what the OVS bridge denied. Nothing that comes
// out of DenyDevice gets any further than this table.
func (s State) bridgeTable() string {
	t := newTable(familyBridge)
	t.counters("logged", "unlogged", "answered", "muted_container", "muted_cell", "unanswerable")
	t.limits("denied", "ipv4_addr", senders, "10m")
	t.limits("logs", "ipv4_addr", senders, "1m")
	t.limits("answers", "ipv4_addr", senders, "1m")
	t.chain("prerouting", "Before anything else that looks at bridged packets.",
		base("filter", "prerouting", "-300"),
		fmt.Sprintf("iifname %q goto notice", DenyDevice))
	t.chain("notice", "The source MAC says whether it was denied (flows.Notice).",
		"ether type != ip "+count("unanswerable")+" drop",
		"ether saddr & 00:00:80:00:00:00 == 00:00:80:00:00:00 goto accepted",
		"update @denied { ip saddr counter }",
		s.deniedUnlogged(),
		s.deniedLogged(),
		"goto reachable")
	t.chain("accepted", "A copy, for the log alone.", s.acceptedRules()...)
	t.chain("reachable", "Protocols whose senders understand an answer.",
		"meta l4proto != { icmp, tcp, udp } "+count("unanswerable")+" drop",
		"icmp type != echo-request "+count("unanswerable")+" drop",
		"goto answer")
	s.answer(t)
	return t.String()
}

// deniedUnlogged sends on what is not logged: each sender has a limit of its
// own, so that none mutes another.
func (s State) deniedUnlogged() string {
	switch {
	case !s.Log.On:
		return ""
	case s.Log.DeniedPerSec == 0:
		return count("unlogged") + " goto reachable"
	}
	return overEach("logs", "ip saddr", s.Log.DeniedPerSec, s.Log.DeniedPerSec) + " " + count("unlogged") + " goto reachable"
}

func (s State) deniedLogged() string {
	if !s.Log.On || s.Log.DeniedPerSec == 0 {
		return ""
	}
	return count("logged") + " " + logging(PrefixDenied)
}

func (s State) acceptedRules() []string {
	if !s.Log.On {
		return []string{"drop"}
	}
	udp := "meta l4proto udp " + over(s.Log.AcceptedUDPPerSec) + " " + count("unlogged") + " drop"
	if s.Log.AcceptedUDPPerSec == 0 {
		udp = "meta l4proto udp " + count("unlogged") + " drop"
	}
	return []string{udp, count("logged") + " " + logging(PrefixAccepted) + " drop"}
}
