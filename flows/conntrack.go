package flows

// Table conntrack: what does the connection tracker know of it?

const conntrackIP = 100

// conntrack looks every IPv4 packet up, which also reassembles fragments.
func (b *builder) conntrack() {
	b.add(stage{TableConntrack, conntrackIP, BaseCookie(TableConntrack)},
		[]term{isIP}, track(ZoneOverlay, TableState))
}
