package host

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

func u32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func be16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

// attrList appends attributes given as type and value in turn.
func attrList(b []byte, pairs ...any) []byte {
	for i := 0; i+1 < len(pairs); i += 2 {
		b = appendAttr(b, uint16(pairs[i].(int)), pairs[i+1].([]byte))
	}
	return b
}

// linkOfKind is an RTM_NEWLINK message of a virtual link.
func linkOfKind(kind string, data []byte) []byte {
	head := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(head[4:], 5)
	info := attrList(nil, unix.IFLA_INFO_KIND, append([]byte(kind), 0), unix.IFLA_INFO_DATA|unix.NLA_F_NESTED, data)
	return attrList(head, unix.IFLA_IFNAME, []byte("t0\x00"), unix.IFLA_MTU, u32(1450), unix.IFLA_LINKINFO|unix.NLA_F_NESTED, info)
}

// Links of kinds that the kernel of a test may not have. What each attribute holds is in drivers/net/geneve.c, net/ipv4/ipip.c and so on.
func TestParseTunnels(t *testing.T) {
	four, six := []byte{10, 0, 0, 1}, netip.MustParseAddr("fd00::1").AsSlice()
	for _, tt := range []struct {
		name, kind string
		data       []byte
		parent     int
		want       *facts.Tunnel
	}{
		{
			"geneve over IPv4", "geneve",
			attrList(nil, unix.IFLA_GENEVE_ID, u32(42), unix.IFLA_GENEVE_REMOTE, four, unix.IFLA_GENEVE_PORT, be16(6081),
				unix.IFLA_GENEVE_UDP_CSUM, []byte{0}, unix.IFLA_GENEVE_DF, []byte{1}), 0,
			&facts.Tunnel{Remote: netip.MustParseAddr("10.0.0.1"), ID: 42, Port: 6081, UDPCsum: new(false), DF: "set"},
		},
		{
			"geneve over IPv6", "geneve",
			attrList(nil, unix.IFLA_GENEVE_ID, u32(42), unix.IFLA_GENEVE_REMOTE6, six, unix.IFLA_GENEVE_PORT, be16(6081),
				unix.IFLA_GENEVE_UDP_ZERO_CSUM6_TX, []byte{1}, unix.IFLA_GENEVE_DF, []byte{2}), 0,
			&facts.Tunnel{Remote: netip.MustParseAddr("fd00::1"), ID: 42, Port: 6081, CSum6Tx: new(false), DF: "inherit"},
		},
		{
			"geneve driven by metadata", "geneve",
			attrList(nil, unix.IFLA_GENEVE_PORT, be16(6081), unix.IFLA_GENEVE_COLLECT_METADATA, []byte{}, unix.IFLA_GENEVE_DF, []byte{0}), 0,
			&facts.Tunnel{Port: 6081, Collect: true, DF: "unset"},
		},
		{
			"tunl0 as the module makes it", "ipip",
			attrList(nil, iflaIPTunLink, u32(0), iflaIPTunLocal, make([]byte, 4), iflaIPTunRemote, make([]byte, 4), iflaIPTunPMTUDisc, []byte{0}), 0,
			&facts.Tunnel{DF: "inherit"},
		},
		{
			"ipip", "ipip",
			attrList(nil, iflaIPTunLink, u32(3), iflaIPTunLocal, four, iflaIPTunRemote, []byte{10, 0, 0, 2}, iflaIPTunPMTUDisc, []byte{1}), 3,
			&facts.Tunnel{Local: netip.MustParseAddr("10.0.0.1"), Remote: netip.MustParseAddr("10.0.0.2"), DF: "set"},
		},
		{
			"gre with a key", "gre",
			attrList(nil, iflaGRELink, u32(3), iflaGREOKey, []byte{0, 0, 0, 9}, iflaGRELocal, four, iflaGREPMTUDisc, []byte{1}), 3,
			&facts.Tunnel{Local: netip.MustParseAddr("10.0.0.1"), ID: 9, DF: "set"},
		},
		{"wireguard", "wireguard", nil, 0, &facts.Tunnel{}},
		{"no tunnel", "dummy", nil, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := facts.Link{Index: 5, Name: "t0", Kind: tt.kind, MTU: 1450, Parent: tt.parent, Tunnel: tt.want}
			got, ok, err := parseLink(linkOfKind(tt.kind, tt.data))
			if err != nil || !ok {
				t.Fatalf("parseLink() = %v, %v", ok, err)
			}
			if d := cmp.Diff(want, got, compareAddr()); d != "" {
				t.Errorf("parseLink() (-want +got):\n%s", d)
			}
		})
	}
}

func compareAddr() cmp.Option {
	return cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
}

func TestParseVLAN(t *testing.T) {
	l, _, err := parseLink(linkOfKind("vlan", attrList(nil, unix.IFLA_VLAN_ID, binary.NativeEndian.AppendUint16(nil, 100))))
	if err != nil || l.VLAN != 100 || l.Tunnel != nil {
		t.Errorf("parseLink() = VLAN %d, tunnel %v, %v; want 100, none, no error", l.VLAN, l.Tunnel, err)
	}
}

// A gateway of the other family comes as RTA_VIA (RFC 5549).
func TestParseRouteVia(t *testing.T) {
	head := make([]byte, unix.SizeofRtMsg)
	head[0], head[1], head[4], head[7] = unix.AF_INET, 24, 254, unix.RTN_UNICAST
	via := append(binary.NativeEndian.AppendUint16(nil, unix.AF_INET6), netip.MustParseAddr("fe80::1").AsSlice()...)
	r, ok, err := parseRoute(attrList(head, unix.RTA_DST, []byte{10, 1, 0, 0}, unix.RTA_VIA, via, unix.RTA_OIF, u32(2)))
	want := facts.Route{
		Dst: netip.MustParsePrefix("10.1.0.0/24"), Gateway: netip.MustParseAddr("fe80::1"), Link: 2,
		Type: "unicast", Scope: "global", Protocol: "unspec", Table: 254,
	}
	if d := cmp.Diff(want, r, compareAddr()); err != nil || !ok || d != "" {
		t.Errorf("parseRoute() = %v, %v (-want +got):\n%s", ok, err, d)
	}
}

func TestParseRouteLeavesOutTheCache(t *testing.T) {
	head := make([]byte, unix.SizeofRtMsg)
	head[0], head[7] = unix.AF_INET6, unix.RTN_UNICAST
	binary.NativeEndian.PutUint32(head[8:], unix.RTM_F_CLONED)
	if _, ok, err := parseRoute(head); ok || err != nil {
		t.Errorf("parseRoute() = %v, %v; want false and no error", ok, err)
	}
}

func FuzzMessages(f *testing.F) {
	f.Add(linkOfKind("vxlan", attrList(nil, unix.IFLA_VXLAN_ID, u32(1), unix.IFLA_VXLAN_PORT, be16(8472))))
	f.Add(linkOfKind("ipip", attrList(nil, iflaIPTunLocal, []byte{10, 0, 0, 1})))
	f.Add(attrList(make([]byte, unix.SizeofRtMsg), unix.RTA_MULTIPATH, []byte{8, 0, 0, 0, 2, 0, 0, 0}))
	f.Add(make([]byte, sizeofInetDiagHead))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, ok, err := parseLink(b); ok && err == nil && l.Port != nil && len(b) <= unix.SizeofIfInfomsg {
			t.Errorf("a bridge port out of nothing")
		}
		if r, ok, err := parseRoute(b); ok && err == nil && (!r.Dst.IsValid() || len(r.NextHops) > len(b)) {
			t.Errorf("parseRoute() = %v", r)
		}
		if a, ok, err := parseAddress(b); ok && err == nil && !a.Prefix.IsValid() {
			t.Errorf("parseAddress() = %v", a)
		}
		if n, ok, err := parseNeighbour(b); ok && err == nil && !n.IP.IsValid() {
			t.Errorf("parseNeighbour() = %v", n)
		}
		_, _, _ = parseRule(b)
		_, _, _ = parseFDB(b)
		_, _, _ = parseListener(b)
		_, _ = parseNSID(b)
	})
}
