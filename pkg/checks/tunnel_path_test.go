package checks

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

func TestOverhead(t *testing.T) {
	tests := []struct {
		kind   string
		key    uint32
		v4, v6 int
	}{
		{"vxlan", 1, 50, 70},
		{"geneve", 1, 50, 70},
		{"ipip", 0, 20, 20},
		{"sit", 0, 20, 20},
		{"gre", 0, 24, 24},
		{"gre", 7, 28, 28},
		{"gretap", 0, 38, 38},
		{"wireguard", 0, 60, 80},
		{"ip6tnl", 0, 40, 40},
		{"ip6gre", 0, 44, 44},
		{"ip6gretap", 7, 62, 62},
		{"erspan", 1, 0, 0},
	}
	for _, tt := range tests {
		l := &facts.Link{Kind: tt.kind, Tunnel: &facts.Tunnel{ID: tt.key}}
		if v4, v6 := overhead(l, false), overhead(l, true); v4 != tt.v4 || v6 != tt.v6 {
			t.Errorf("overhead(%s with key %d) = %d over IPv4, %d over IPv6; want %d, %d", tt.kind, tt.key, v4, v6, tt.v4, tt.v6)
		}
	}
}

func TestOuterPaths(t *testing.T) {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	route := func(dst, via string, link, mtu int) facts.Route {
		r := facts.Route{Dst: p(dst), Link: link, Type: "unicast", Table: facts.TableMain, MTU: mtu}
		if via != "" {
			r.Gateway = a(via)
		}
		return r
	}
	elsewhere := 4
	vxlan := func(set func(*facts.Link)) *facts.Link {
		l := &facts.Link{Index: 5, Name: "flannel.1", Kind: "vxlan", MTU: 1450, Up: true, Tunnel: &facts.Tunnel{Local: a("192.0.2.1"), Port: 8472}}
		set(l)
		return l
	}
	links := []facts.Link{{Index: 2, Name: "eth0", MTU: 1500}, {Index: 3, Name: "eth1", MTU: 9000}}
	routes := []facts.Route{
		route("0.0.0.0/0", "192.0.2.254", 2, 0),
		route("198.51.100.0/24", "", 3, 0),
		route("203.0.113.0/24", "192.0.2.253", 2, 1400),
		{Dst: p("192.0.2.1/32"), Link: 2, Type: "local", Table: facts.TableLocal},
		{Dst: p("100.64.0.0/10"), Type: "unicast", Table: facts.TableMain, NextHops: []facts.NextHop{{Link: 2}, {Link: 3}}},
		route("10.244.1.0/24", "198.51.100.9", 5, 0),
	}
	fdb := func(dst string) []facts.FDBEntry { return []facts.FDBEntry{{Link: 5, Dst: a(dst)}} }
	tests := []struct {
		name string
		link *facts.Link
		fdb  []facts.FDBEntry
		want []string
	}{
		{"by route", vxlan(func(*facts.Link) {}), fdb("198.51.100.7"), []string{"198.51.100.7 eth1 9000"}},
		{"by default route", vxlan(func(*facts.Link) {}), fdb("8.8.8.8"), []string{"8.8.8.8 eth0 1500"}},
		{"route with an MTU", vxlan(func(*facts.Link) {}), fdb("203.0.113.7"), []string{"203.0.113.7 eth0 1400"}},
		{"bound to another link than the route's", vxlan(func(l *facts.Link) { l.Parent = 2 }), fdb("198.51.100.7"), []string{"198.51.100.7 eth0 1500"}},
		{"bound to a link of another namespace", vxlan(func(l *facts.Link) { l.Parent, l.PeerNSID = 2, &elsewhere }), fdb("198.51.100.7"), []string{"198.51.100.7 eth1 9000"}},
		{"bound to a link that is gone", vxlan(func(l *facts.Link) { l.Parent = 77 }), fdb("198.51.100.7"), []string{"198.51.100.7 eth1 9000"}},
		{"bound, without a peer", vxlan(func(l *facts.Link) { l.Parent = 3 }), nil, []string{"invalid IP eth1 9000"}},
		{"unbound, without a peer", vxlan(func(*facts.Link) {}), nil, []string{"invalid IP eth0 1500"}},
		{"a fixed remote", vxlan(func(l *facts.Link) { l.Tunnel.Remote = a("198.51.100.7") }), nil, []string{"198.51.100.7 eth1 9000"}},
		{"a multicast group", vxlan(func(l *facts.Link) { l.Tunnel.Remote, l.Parent = a("239.1.1.1"), 3 }), nil, []string{"invalid IP eth1 9000"}},
		{"a peer that is the node itself", vxlan(func(*facts.Link) {}), fdb("192.0.2.1"), []string{"invalid IP eth0 1500"}},
		{"several ways", vxlan(func(*facts.Link) {}), fdb("100.64.0.1"), []string{"100.64.0.1 eth0 1500", "100.64.0.1 eth1 9000"}},
		{"ipip by the gateways of its routes", vxlan(func(l *facts.Link) { l.Kind = "ipip" }), nil, []string{"198.51.100.9 eth1 9000"}},
		{"over IPv6 without a route", vxlan(func(l *facts.Link) { l.Tunnel.Local = a("2001:db8::1") }), nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ns := &facts.Namespace{Links: append([]facts.Link{*tt.link}, links...), Routes: routes, FDB: tt.fdb}
			var got []string
			for _, path := range outerPaths(ns, &ns.Links[0]) {
				got = append(got, fmt.Sprint(path.peer, " ", path.link.Name, " ", path.mtu))
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("outerPaths (-want +got):\n%s", d)
			}
		})
	}
}

func TestPeersAreSampled(t *testing.T) {
	ns := &facts.Namespace{}
	for i := range 4 * maxPeers {
		ns.FDB = append(ns.FDB, facts.FDBEntry{Link: 5, Dst: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})})
	}
	l := &facts.Link{Index: 5, Kind: "vxlan", Tunnel: &facts.Tunnel{}}
	got := peers(ns, l)
	if len(got) != maxPeers || got[0] != ns.FDB[0].Dst || got[maxPeers-1] != ns.FDB[4*maxPeers-4].Dst {
		t.Errorf("peers of %d = %d from %v to %v; want %d over all of them", 4*maxPeers, len(got), got[0], got[len(got)-1], maxPeers)
	}
}
