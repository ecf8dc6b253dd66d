package flows

// Table portsec: does the container use the MAC and IP we gave it?

const portsecOwn = 100 // the container's own addresses

// portsec lets a container send IPv4 and ARP from its own addresses and
// nothing else: no other MAC, no other address, no IPv6, no unknown ethertype.
// VLAN tags are refused in classify.
func (b *builder) portsec(ep Endpoint) {
	at := stage{TablePortsec, portsecOwn, EndpointCookie(ep.IP)}
	port, mac := inPort(ep.OFPort), etherSource(ep.mac().String())
	b.add(at, []term{port, mac, ipSource(host(ep.IP))}, gotoTable(TableConntrack))
	b.add(at, append(arpSender(ep.IP, ep.mac()), port, mac), gotoTable(TableARP))
}
