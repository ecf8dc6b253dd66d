package flows

// contracts is the pipeline: one entry per table, in the order of packets.
// Register fields are spelled by their names in registers.go, other fields as
// ovs-fields(7) names them in matches.
var contracts = []Contract{
	{
		ID: TableClassify, Name: "classify", File: "classify.go",
		Question: "Which port did it enter by, and so whose packet is it?",
		Next:     []TableID{TablePortsec, TableConntrack},
		Reads:    []string{"in_port", "ip", "tun_id", "tun_src", "nw_src", "tun_gbp_id", "tun_gbp_flags"},
		Writes:   []string{source.Name, origin.Name, applied.Name},
		Drop:     "unknown to us: an unknown port, the host, or the tunnel from a sender or inner source that no known cell has",
	},
	{
		ID: TablePortsec, Name: "portsec", File: "portsec.go",
		Question: "Does the container use the MAC and IP we gave it?",
		Next:     []TableID{TableARP, TableConntrack},
		Reads:    []string{"in_port", "dl_src", "ip", "nw_src", "arp", "arp_spa", "arp_sha"},
		Drop:     "not the container's own: another MAC or IPv4 address, IPv6, or any other ethertype",
	},
	{
		ID: TableARP, Name: "arp", File: "arp.go",
		Question: "Who has the gateway? We answer; nothing floods.",
		Reads:    []string{"arp", "arp_op", "arp_tpa", "eth_src", "arp_sha", "arp_spa"},
		Writes:   []string{"eth_src", "eth_dst", "arp_op", "arp_sha", "arp_spa", "arp_tha", "arp_tpa"},
		Outputs:  []string{"IN_PORT"},
		Drop:     "ARP for anything but the gateway, or an ARP reply",
	},
	{
		ID: TableConntrack, Name: "conntrack", File: "conntrack.go",
		Question: "What does the connection tracker know of it?",
		Next:     []TableID{TableState},
		Reads:    []string{"ip"},
		Tracks:   []string{"track"},
		Drop:     "not IPv4; cannot happen while portsec and classify let only IPv4 here",
	},
	{
		ID: TableState, Name: "state", File: "state.go",
		Question: "Original direction, reply or invalid: who judges it?",
		Next:     []TableID{TableDestination},
		Reads:    []string{"ct_state", "ct_mark", "ip", judged.Name, origin.Name, applied.Name},
		Writes:   []string{class.Name},
		Tracks:   []string{"track"},
		Drop:     "tracked, but in no direction that the flows above know; cannot happen. (The flow at the top counts what belongs to no connection: +inv.)",
	},
	{
		ID: TableDestination, Name: "destination", File: "destination.go",
		Question: "Which local port or remote VTEP should it leave by?",
		Next:     []TableID{TableEgress, TableJudge},
		Reads:    []string{"ip", "nw_dst", origin.Name},
		Writes:   []string{destination.Name, ofport.Name, vtep.Name, delivery.Name},
		Drop:     "no origin; cannot happen. (The flows above count each kind of missing receiver.)",
	},
	{
		ID: TableEgress, Name: "egress", File: "egress.go",
		Question: "May it leave the overlay?",
		Drop:     "wanted to leave the overlay, and no rule allows it",
	},
	{
		ID: TableJudge, Name: "judge", File: "judge.go",
		Question: "Which pair of groups does policy judge?",
		Next:     []TableID{TablePolicy, TableOutput},
		Reads:    []string{class.Name, delivery.Name, source.Name, labelSource.Name},
		Writes:   []string{source.Name, destination.Name},
		Drop:     "a class and delivery that do not go together; cannot happen",
	},
	{
		ID: TablePolicy, Name: "policy", File: "policy.go",
		Question: "May the source group talk to the destination group?",
		Next:     []TableID{TableOutput},
		Reads:    []string{"ct_state", "ct_nw_proto", "ct_tp_dst", "ip", source.Name, destination.Name},
		Drop:     "denied: no policy allows this pair of groups on this protocol and port",
	},
	{
		ID: TableOutput, Name: "output", File: "output.go",
		Question: "Deliver it, and remember the connection.",
		Reads:    []string{"ip", class.Name, delivery.Name, source.Name, destination.Name, ofport.Name, vtep.Name, "nw_dst"},
		Writes: []string{"eth_src", "eth_dst", "tun_id", "tun_gbp_id", "tun_gbp_flags", "tun_dst",
			judged.Name, labelSource.Name, labelDestination.Name},
		Tracks:  []string{"track", "commit"},
		Outputs: []string{ofport.Name, "tunnel"},
		Drop:    "allowed, but with a class and delivery that no flow delivers; cannot happen",
	},
}
