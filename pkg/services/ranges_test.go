package services

import (
	"net/netip"
	"strings"
	"testing"
)

func TestSameRanges(t *testing.T) {
	list := func(text string) (out []netip.Prefix) {
		for _, p := range strings.Fields(text) {
			out = append(out, netip.MustParsePrefix(p))
		}
		return out
	}
	for _, tt := range []struct {
		name, a, b string
		same       bool
	}{
		{"both none", "", "", true},
		{"one none", "", "10.0.0.0/8", false},
		{"in another order", "10.0.0.0/8 192.0.2.1/32", "192.0.2.1/32 10.0.0.0/8", true},
		{"halves", "198.51.100.128/25 198.51.100.0/25", "198.51.100.0/24", true},
		{"halves of halves", "10.0.0.0/10 10.64.0.0/10 10.128.0.0/9", "10.0.0.0/8", true},
		{"one in another", "198.51.100.0/24 198.51.100.128/25", "198.51.100.0/24", true},
		{"neighbours that are no halves", "10.0.1.0/24 10.0.2.0/24", "10.0.0.0/22", false},
		{"of both families", "2001:db8::/33 2001:db8:8000::/33 10.0.0.0/9 10.128.0.0/9", "10.0.0.0/8 2001:db8::/32", true},
		{"another address", "10.0.0.1/32", "10.0.0.2/32", false},
	} {
		if got := sameRanges(list(tt.a), list(tt.b)); got != tt.same {
			t.Errorf("%s: sameRanges = %v; want %v", tt.name, got, tt.same)
		}
	}
}
