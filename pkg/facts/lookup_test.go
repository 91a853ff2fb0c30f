package facts

import (
	"net/netip"
	"slices"
	"testing"
)

func TestRouteTo(t *testing.T) {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	route := func(dst string, link, table, metric int) Route {
		return Route{Dst: p(dst), Link: link, Type: "unicast", Table: table, Metric: metric}
	}
	plain := []Route{
		route("0.0.0.0/0", 2, TableMain, 100),
		route("0.0.0.0/0", 3, TableMain, 50),
		route("192.0.2.0/24", 2, TableMain, 0),
		route("192.0.2.128/25", 4, TableMain, 0),
		{Dst: p("192.0.2.10/32"), Link: 2, Type: "local", Table: TableLocal},
		{Dst: p("10.244.7.0/24"), Type: "blackhole", Table: TableMain},
		route("2001:db8::/64", 2, TableMain, 0),
		route("0.0.0.0/0", 9, 100, 0),
		{Dst: p("203.0.113.0/24"), Type: "throw", Table: 100},
	}
	own := []Rule{{Family: 4, Priority: 0, Table: TableLocal}, {Family: 4, Priority: 32766, Table: TableMain}}
	with := func(r Rule) []Rule { return append([]Rule{r}, own...) }
	tests := []struct {
		name     string
		rules    []Rule
		dst, src string
		link     int // 0: no route
	}{
		{"longest prefix", nil, "192.0.2.200", "", 4},
		{"shorter prefix", nil, "192.0.2.20", "", 2},
		{"lowest metric", nil, "198.51.100.1", "", 3},
		{"own address", nil, "192.0.2.10", "", 2},
		{"blackhole", nil, "10.244.7.9", "", 0},
		{"the other family", nil, "2001:db8::1", "", 2},
		{"no default route of that family", nil, "2001:db9::1", "", 0},
		{"mapped address", nil, "::ffff:192.0.2.20", "", 2},
		{"no address", nil, "", "", 0},
		{"the kernel's rules", own, "192.0.2.20", "", 2},
		{"a rule for all", with(Rule{Family: 4, Priority: 10, Table: 100}), "192.0.2.20", "", 9},
		{"throw goes on", with(Rule{Family: 4, Priority: 10, Table: 100}), "203.0.113.1", "", 3},
		{"an empty table goes on", with(Rule{Family: 4, Priority: 10, Table: 7}), "192.0.2.20", "", 2},
		{"a rule with a mark", with(Rule{Family: 4, Priority: 10, Mark: 0x200, Mask: 0xf00, Table: 100}), "192.0.2.20", "", 2},
		{"a rule for all without that mark", with(Rule{Family: 4, Priority: 10, Mark: 0xca6c, Mask: 0xffffffff, Invert: true, Table: 100}), "192.0.2.20", "", 9},
		{"a rule for forwarded packets", with(Rule{Family: 4, Priority: 10, InLink: "eth1", Table: 100}), "192.0.2.20", "", 2},
		{"a rule for one source", with(Rule{Family: 4, Priority: 10, Src: p("192.0.2.10/32"), Table: 100}), "192.0.2.20", "192.0.2.10", 9},
		{"a rule for another source", with(Rule{Family: 4, Priority: 10, Src: p("192.0.2.11/32"), Table: 100}), "192.0.2.20", "192.0.2.10", 2},
		{"a rule for one source, source unknown", with(Rule{Family: 4, Priority: 10, Src: p("192.0.2.10/32"), Table: 100}), "192.0.2.20", "", 2},
		{"a rule that says less than it matches", with(Rule{Family: 4, Priority: 10, Opaque: true, Table: 100}), "192.0.2.20", "", 0},
		{"such a rule without a route", with(Rule{Family: 4, Priority: 10, Opaque: true, Table: 7}), "192.0.2.20", "", 2},
		{"a rule that refuses", with(Rule{Family: 4, Priority: 10, Action: "prohibit"}), "192.0.2.20", "", 0},
		{"a rule that jumps", with(Rule{Family: 4, Priority: 10, Action: "goto", Table: 100}), "192.0.2.20", "", 2},
		{"a rule for one destination", with(Rule{Family: 4, Priority: 10, Dst: p("192.0.2.0/28"), Table: 100}), "192.0.2.5", "", 9},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var dst, src netip.Addr
			if tt.dst != "" {
				dst = a(tt.dst)
			}
			if tt.src != "" {
				src = a(tt.src)
			}
			n := &Namespace{Routes: plain, Rules: tt.rules}
			r, got := n.RouteTo(dst, src), 0
			if r != nil {
				got = r.Link
			}
			if got != tt.link {
				t.Errorf("RouteTo(%v, %v) goes to link %d; want %d", dst, src, got, tt.link)
			}
		})
	}
}

func TestEgress(t *testing.T) {
	tests := []struct {
		name  string
		route Route
		want  []int
	}{
		{"one", Route{Link: 2}, []int{2}},
		{"none", Route{}, nil},
		{"several", Route{NextHops: []NextHop{{Link: 2}, {Link: 3}, {Link: 2}}}, []int{2, 3}},
	}
	for _, tt := range tests {
		if got := tt.route.Egress(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: Egress() = %v; want %v", tt.name, got, tt.want)
		}
	}
}
