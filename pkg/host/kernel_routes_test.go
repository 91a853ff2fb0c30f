package host_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

func TestAddresses(t *testing.T) {
	b := newBench(t,
		"ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up",
		"ip addr add 192.0.2.1/24 dev v0; ip addr add 192.0.2.2/24 dev v0 valid_lft 3600 preferred_lft 1800 label v0:dhcp",
		"ip addr add 198.51.100.1 peer 198.51.100.2/32 dev v0",
		"ip addr add fd00:1::1/64 dev v0 nodad; ip addr add 127.0.0.2/32 dev lo scope host",
	)
	v0 := b.ref("v0").Index
	got := map[netip.Prefix]facts.Address{}
	for _, a := range read(b, (*host.NS).Addresses) {
		got[a.Prefix] = a
	}
	for _, want := range []facts.Address{
		{Link: v0, Prefix: netip.MustParsePrefix("192.0.2.1/24"), Scope: "global", Label: "v0", Permanent: true, Valid: facts.Forever, Preferred: facts.Forever},
		{Link: v0, Prefix: netip.MustParsePrefix("192.0.2.2/24"), Scope: "global", Label: "v0:dhcp", Secondary: true, Valid: 3600, Preferred: 1800},
		{
			Link: v0, Prefix: netip.MustParsePrefix("198.51.100.1/32"), Peer: netip.MustParsePrefix("198.51.100.2/32"), Scope: "global", Label: "v0",
			Permanent: true, Valid: facts.Forever, Preferred: facts.Forever,
		},
		{Link: v0, Prefix: netip.MustParsePrefix("fd00:1::1/64"), Scope: "global", Permanent: true, NoDAD: true, Valid: facts.Forever, Preferred: facts.Forever},
		{Link: 1, Prefix: netip.MustParsePrefix("127.0.0.2/32"), Scope: "host", Label: "lo", Permanent: true, Valid: facts.Forever, Preferred: facts.Forever},
	} {
		a := got[want.Prefix]
		a.Valid, a.Preferred = about(a.Valid, want.Valid), about(a.Preferred, want.Preferred)
		if d := cmp.Diff(want, a, comparePlain()); d != "" {
			t.Errorf("%s (-want +got):\n%s", want.Prefix, d)
		}
	}
}

// about is the wanted lifetime where it has just begun to run.
func about(got, want uint32) uint32 {
	if got != facts.Forever && got <= want && got+30 > want {
		return want
	}
	return got
}

// An address that another host of the link has already fails its duplicate address detection (RFC 4862).
func TestDuplicateAddress(t *testing.T) {
	b := newBench(t,
		"ip link add v0 type veth peer name v1; ip link set v0 up",
		"sysctl -qw net.ipv6.conf.v0.accept_dad=1 net.ipv6.conf.v0.dad_transmits=2",
	)
	other := newPeer(t)
	b.sh("ip link set v1 netns " + other.name)
	other.sh("ip link set v1 up; ip addr add fd00:1::1/64 dev v1 nodad")
	b.sh("ip addr add fd00:1::1/64 dev v0")
	for range 100 {
		for _, a := range read(b, (*host.NS).Addresses) {
			if a.Prefix == netip.MustParsePrefix("fd00:1::1/64") && a.DADFailed {
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("no address has failed its duplicate detection: %s", b.sh("ip -6 addr"))
}

func TestRoutes(t *testing.T) {
	b := newBench(t,
		"ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up; ip addr add 192.0.2.1/24 dev v0; ip addr add 198.51.100.1/24 dev v1",
		"ip addr add fd00:1::1/64 dev v0 nodad",
		"ip route add default via 192.0.2.254 dev v0 proto dhcp src 192.0.2.1 metric 100 mtu lock 1400",
		"ip route add 10.1.0.0/16 nexthop via 192.0.2.3 dev v0 weight 1 nexthop via 198.51.100.3 dev v1 weight 2",
		"ip route add 10.2.0.0/24 via 10.2.0.0 dev v0 onlink; ip route add blackhole 10.3.0.0/16 proto 80",
		"ip route add prohibit 10.4.0.0/16; ip route add unreachable 10.5.0.0/16; ip route add throw 10.6.0.0/16 table 300",
		"ip route add 10.7.0.5/32 dev v0 scope link table 100000; ip route add 10.8.0.0/16 via inet6 fe80::1 dev v0",
		"ip -6 route add default via fd00:1::ff dev v0 mtu 1300; ip -6 route add fd00:2::/64 nexthop via fd00:1::2 dev v0 nexthop via fd00:1::3 dev v0",
	)
	v0, v1 := b.ref("v0").Index, b.ref("v1").Index
	got := read(b, (*host.NS).Routes)
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	for _, want := range []facts.Route{
		{
			Dst: prefix("0.0.0.0/0"), Src: addr("192.0.2.1"), Gateway: addr("192.0.2.254"), Link: v0, Type: "unicast", Scope: "global",
			Protocol: "dhcp", Table: 254, Metric: 100, MTU: 1400, MTULock: true,
		},
		{
			Dst: prefix("10.1.0.0/16"), Type: "unicast", Scope: "global", Protocol: "boot", Table: 254,
			NextHops: []facts.NextHop{{Gateway: addr("192.0.2.3"), Link: v0}, {Gateway: addr("198.51.100.3"), Link: v1}},
		},
		{
			Dst: prefix("10.2.0.0/24"), Gateway: addr("10.2.0.0"), Link: v0, Type: "unicast", Scope: "global", Protocol: "boot", Table: 254, OnLink: true,
		},
		{Dst: prefix("10.3.0.0/16"), Type: "blackhole", Scope: "global", Protocol: "80", Table: 254},
		{Dst: prefix("10.4.0.0/16"), Type: "prohibit", Scope: "global", Protocol: "boot", Table: 254},
		{Dst: prefix("10.5.0.0/16"), Type: "unreachable", Scope: "global", Protocol: "boot", Table: 254},
		{Dst: prefix("10.6.0.0/16"), Type: "throw", Scope: "global", Protocol: "boot", Table: 300},
		{Dst: prefix("10.7.0.5/32"), Link: v0, Type: "unicast", Scope: "link", Protocol: "boot", Table: 100000},
		{Dst: prefix("10.8.0.0/16"), Gateway: addr("fe80::1"), Link: v0, Type: "unicast", Scope: "global", Protocol: "boot", Table: 254},
		{
			Dst: prefix("::/0"), Gateway: addr("fd00:1::ff"), Link: v0, Type: "unicast", Scope: "global", Protocol: "boot", Table: 254, Metric: 1024, MTU: 1300,
		},
		{
			Dst: prefix("fd00:2::/64"), Type: "unicast", Scope: "global", Protocol: "boot", Table: 254, Metric: 1024,
			NextHops: []facts.NextHop{{Gateway: addr("fd00:1::2"), Link: v0}, {Gateway: addr("fd00:1::3"), Link: v0}},
		},
		{Dst: prefix("192.0.2.1/32"), Src: addr("192.0.2.1"), Link: v0, Type: "local", Scope: "host", Protocol: "kernel", Table: 255},
	} {
		if !slices.ContainsFunc(got, func(r facts.Route) bool { return cmp.Equal(want, r, comparePlain()) }) {
			i := slices.IndexFunc(got, func(r facts.Route) bool { return r.Dst == want.Dst })
			if i < 0 {
				t.Errorf("no route to %s", want.Dst)
				continue
			}
			t.Errorf("route to %s (-want +got):\n%s", want.Dst, cmp.Diff(want, got[i], comparePlain()))
		}
	}
	for _, r := range got {
		if r.Dst.Addr().IsMulticast() {
			t.Errorf("Routes() has the multicast route %v", r)
		}
	}
}

func TestRules(t *testing.T) {
	b := newBench(t,
		"ip rule add from 10.1.0.0/16 table 100 priority 1000; ip rule add fwmark 0x200/0xf00 lookup 2004 priority 9",
		"ip rule add not to 10.2.0.0/24 iif lo lookup 300000 priority 50; ip rule add prohibit oif v0 priority 60",
		"ip rule add ipproto udp dport 53 lookup 100 priority 70; ip rule add lookup main suppress_prefixlength 0 priority 80",
		"ip rule add goto 32766 priority 90; ip -6 rule add from fd00::/8 table 200 priority 1001; ip rule add tos 0x10 table 5 priority 95",
	)
	got := read(b, (*host.NS).Rules)
	prefix := netip.MustParsePrefix
	for _, want := range []facts.Rule{
		{Family: 4, Table: 255},
		{Family: 4, Priority: 9, Mark: 0x200, Mask: 0xf00, Table: 2004},
		{Family: 4, Priority: 50, Dst: prefix("10.2.0.0/24"), InLink: "lo", Table: 300000, Invert: true},
		{Family: 4, Priority: 60, OutLink: "v0", Action: "prohibit"},
		{Family: 4, Priority: 70, Table: 100, Opaque: true},
		{Family: 4, Priority: 80, Table: 254, Opaque: true},
		{Family: 4, Priority: 90, Action: "goto"},
		{Family: 4, Priority: 95, Table: 5, Opaque: true},
		{Family: 4, Priority: 1000, Src: prefix("10.1.0.0/16"), Table: 100},
		{Family: 4, Priority: 32766, Table: 254},
		{Family: 6, Priority: 1001, Src: prefix("fd00::/8"), Table: 200},
	} {
		i := slices.IndexFunc(got, func(r facts.Rule) bool { return r.Family == want.Family && r.Priority == want.Priority })
		if i < 0 {
			t.Errorf("no rule %d of IPv%d in %+v", want.Priority, want.Family, got)
			continue
		}
		have := got[i]
		if want.Action != "" {
			have.Table = 0 // of no meaning
		}
		if d := cmp.Diff(want, have, comparePlain()); d != "" {
			t.Errorf("rule %d (-want +got):\n%s", want.Priority, d)
		}
	}
}

func TestNeighbours(t *testing.T) {
	b := newBench(t,
		"ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up; ip addr add 192.0.2.1/24 dev v0",
		"ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 nud permanent dev v0; ip neigh add fd00::9 lladdr 02:00:00:00:00:08 nud stale dev v0",
		"ip neigh add proxy 192.0.2.7 dev v0",
	)
	v0 := b.ref("v0").Index
	got := read(b, (*host.NS).Neighbours)
	for _, want := range []facts.Neighbour{
		{Link: v0, IP: netip.MustParseAddr("192.0.2.9"), MAC: "02:00:00:00:00:09", State: "permanent"},
		{Link: v0, IP: netip.MustParseAddr("fd00::9"), MAC: "02:00:00:00:00:08", State: "stale"},
	} {
		if !slices.Contains(got, want) {
			t.Errorf("Neighbours() has no %+v: %+v", want, got)
		}
	}
	for _, e := range got {
		if e.IP == netip.MustParseAddr("192.0.2.7") || e.IP.IsMulticast() {
			t.Errorf("Neighbours() has %+v, which is no neighbour", e)
		}
	}
}
