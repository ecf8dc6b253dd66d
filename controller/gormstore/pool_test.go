package gormstore

import (
	"net/netip"
	"strings"
	"testing"
)

// TestFirstFree: blocks of other sizes than today's are never overlapped.
func TestFirstFree(t *testing.T) {
	for _, c := range []struct {
		network string
		bits    int
		taken   []string
		want    string
	}{
		{"10.0.0.0/16", 24, nil, "10.0.1.0/24"},
		{"10.0.0.0/16", 24, []string{"10.0.2.0/24", "10.0.1.0/24"}, "10.0.3.0/24"},
		{"10.0.0.0/16", 24, []string{"10.0.1.192/26"}, "10.0.2.0/24"},
		{"10.0.0.0/16", 24, []string{"10.0.0.0/22"}, "10.0.4.0/24"},
		{"10.0.0.0/16", 26, []string{"10.0.0.64/26", "10.0.1.0/24"}, "10.0.0.128/26"},
		{"10.0.0.0/16", 24, []string{"10.0.0.0/16"}, ""},
		{"10.0.0.0/8", 30, []string{"10.0.0.0/9"}, "10.128.0.0/30"},
		{"0.0.0.0/0", 8, nil, "1.0.0.0/8"},
		{"255.255.0.0/16", 17, []string{"255.255.128.0/17"}, ""},
		{"10.0.0.0/23", 24, []string{"9.0.0.0/24", "11.0.0.0/24"}, "10.0.1.0/24"},
	} {
		var taken []netip.Prefix
		for _, p := range c.taken {
			taken = append(taken, netip.MustParsePrefix(p))
		}
		got, free := pool{[]netip.Prefix{netip.MustParsePrefix(c.network)}, c.bits}.free(block, taken)
		if free != (c.want != "") || free && got.String() != c.want {
			t.Errorf("%s in /%d without %v: %v %v, want %q", c.network, c.bits, c.taken, got, free, c.want)
		}
	}
}

// TestLends: what a cell may ask for, whoever has it.
func TestLends(t *testing.T) {
	p := pool{[]netip.Prefix{subnet("10.255.0.0/16"), subnet("10.77.0.0/20")}, 24}
	for text, want := range map[string]string{
		"10.255.1.0/24": "", "10.255.255.0/24": "", "10.77.15.0/24": "", "10.255.1.64/26": "",
		"10.255.0.1/32": "", "10.77.0.254/32": "",
		"10.255.0.0/24": "the first block of 10.255.0.0/16", "10.77.0.128/25": "the first block of 10.77.0.0/20", "10.255.0.0/16": "the first block",
		"10.77.16.0/24": "outside the configured network", "0.0.0.0/0": "outside", "10.77.16.1/32": "outside",
		"10.255.128.0/23": "larger than a cell's block (subnet_prefix_length 24)",
		"10.255.0.0/32":   "are nobody's", "10.77.0.255/32": "are nobody's",
		"10.255.1.1/32": "comes out of the first block",
	} {
		err := p.lends(subnet(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
