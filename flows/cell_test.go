package flows

import (
	"net/netip"
	"testing"
)

// TestOFPortOf: one to one, readable, and never a number that is spoken for.
func TestOFPortOf(t *testing.T) {
	for _, c := range []struct {
		lease, ip string
		want      OFPort
	}{
		{"10.255.1.0/24", "10.255.1.7", 107},
		{"10.255.1.0/24", "10.255.1.254", 354},
		{"10.255.1.128/30", "10.255.1.129", 101},
		{"10.255.0.0/16", "10.255.1.7", 363},
		{"10.255.0.0/16", "10.255.254.155", 65279},
		{"10.255.0.0/16", "10.255.254.156", 0},
		{"10.0.0.0/8", "10.255.1.7", 0},
	} {
		if got := OFPortOf(netip.MustParsePrefix(c.lease), netip.MustParseAddr(c.ip)); got != c.want {
			t.Errorf("%s of %s: %d, want %d", c.ip, c.lease, got, c.want)
		}
	}
}

// TestStation: which MACs a container can have.
func TestStation(t *testing.T) {
	for text, want := range map[string]bool{
		"02:00:00:00:00:01": true, "ee:ee:0a:ff:01:02": true, "00:00:00:00:00:00": false, "01:00:5e:00:00:01": false,
		"ff:ff:ff:ff:ff:ff": false, GatewayMAC.String(): false,
	} {
		if mac, err := ParseMAC(text); err != nil || mac.Station() != want {
			t.Errorf("%s: %v, %v, want %v", text, mac.Station(), err, want)
		}
	}
}
