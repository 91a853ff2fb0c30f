package checks

import (
	"net/netip"
	"testing"

	"github.com/netmend/netmend/pkg/facts"
)

// The rules below are those that each program writes, as iptables-save shows them, in the form of facts.
func TestMasqueraded(t *testing.T) {
	unmarked := facts.FilterRule{Verdict: "return", Mark: "!0x4000/0x4000"}
	unmark := facts.FilterRule{Verdict: "mark", SetMark: "xor 0x4000/0x0"}
	masq := facts.FilterRule{Verdict: "masquerade"}
	random := facts.FilterRule{Verdict: "masquerade", RandomFully: true}
	jump := func(target string) facts.FilterRule { return facts.FilterRule{Verdict: "jump", Target: target} }
	with := func(r facts.FilterRule, set func(*facts.FilterRule)) facts.FilterRule { set(&r); return r }
	opaque := func(r facts.FilterRule) facts.FilterRule {
		return with(r, func(r *facts.FilterRule) { r.Opaque = true })
	}
	tests := []struct {
		name   string
		rules  []facts.FilterRule
		chains []facts.Chain
		want   string // "", plain or random
	}{
		{"no rules", nil, nil, ""},
		{"everything", []facts.FilterRule{random}, nil, "random"},
		{"everything, without a new port", []facts.FilterRule{masq}, nil, "plain"},
		{"with kube-proxy's mark, which leaks", []facts.FilterRule{unmarked, random}, nil, "random"},
		{"with kube-proxy's mark, which is taken away", []facts.FilterRule{unmarked, unmark, random}, nil, ""},
		{"the mark is set again", []facts.FilterRule{unmarked, with(unmark, func(r *facts.FilterRule) { r.SetMark = "xor 0x4000/0x4000" }), random}, nil, "random"},
		{"a mark that nobody knows", []facts.FilterRule{with(random, func(r *facts.FilterRule) { r.Mark = "0x1/0x1" })}, nil, ""},
		{"the mark changes in a way that nobody knows", []facts.FilterRule{{Verdict: "mark", Opaque: true}, random}, nil, ""},
		{"the mark may change", []facts.FilterRule{unmarked, opaque(unmark), random}, nil, ""},
		{"in a chain", []facts.FilterRule{jump("KUBE-POSTROUTING")}, []facts.Chain{{Name: "KUBE-POSTROUTING", RulesRead: true, Rules: []facts.FilterRule{unmarked, random}}}, "random"},
		{"by goto", []facts.FilterRule{{Verdict: "goto", Target: "X"}, random}, []facts.Chain{{Name: "X", RulesRead: true}}, ""},
		{"in a chain that was not read", []facts.FilterRule{jump("KUBE-POSTROUTING"), random}, []facts.Chain{{Name: "KUBE-POSTROUTING"}}, ""},
		{"in a chain that is not there", []facts.FilterRule{jump("CNI-1"), random}, nil, ""},
		{"in a chain that leads back to itself", []facts.FilterRule{jump("X"), random}, []facts.Chain{{Name: "X", RulesRead: true, Rules: []facts.FilterRule{jump("X")}}}, ""},
		{"a match that is not known", []facts.FilterRule{opaque(random)}, nil, ""},
		{"behind one that may return", []facts.FilterRule{opaque(facts.FilterRule{Verdict: "return"}), random}, nil, ""},
		{"in a chain that it may enter", []facts.FilterRule{opaque(jump("IP-MASQ"))}, []facts.Chain{{Name: "IP-MASQ", RulesRead: true, Rules: []facts.FilterRule{random}}}, ""},
		{"behind a chain that it may enter", []facts.FilterRule{opaque(jump("IP-MASQ")), random}, []facts.Chain{{Name: "IP-MASQ", RulesRead: true, Rules: []facts.FilterRule{masq}}}, "random"},
		{"the first of two", []facts.FilterRule{masq, random}, nil, "plain"},
		{"behind SNAT", []facts.FilterRule{{Verdict: "snat"}, random}, nil, ""},
		{"behind accept", []facts.FilterRule{{Verdict: "accept", Proto: "udp", DPort: "8472"}, random}, nil, ""},
		{"behind accept of ports", []facts.FilterRule{{Verdict: "accept", Proto: "udp", DPort: "8000:9000"}, random}, nil, ""},
		{"behind accept of another port", []facts.FilterRule{{Verdict: "accept", Proto: "udp", DPort: "4789"}, random}, nil, "random"},
		{"behind accept of all ports but others", []facts.FilterRule{{Verdict: "accept", Proto: "udp", DPort: "!4789"}, random}, nil, ""},
		{"a port that cannot be read", []facts.FilterRule{{Verdict: "accept", Proto: "udp", DPort: "vxlan"}, random}, nil, ""},
		{"of TCP", []facts.FilterRule{with(random, func(r *facts.FilterRule) { r.Proto = "tcp" })}, nil, ""},
		{"docker's", []facts.FilterRule{{Verdict: "masquerade", Src: "172.17.0.0/16", OutLink: "!docker0"}}, nil, ""},
		{"flannel's for pods that leave the cluster", []facts.FilterRule{with(random, func(r *facts.FilterRule) { r.Src, r.Dst = "10.244.0.0/16", "!224.0.0.0/4" })}, nil, ""},
		{"flannel's for others that enter it", []facts.FilterRule{with(random, func(r *facts.FilterRule) { r.Src, r.Dst = "!10.244.0.0/16", "10.244.0.0/16" })}, nil, ""},
		{"calico's for its tunnel device", []facts.FilterRule{with(random, func(r *facts.FilterRule) { r.OutLink = "vxlan.calico" })}, nil, ""},
		{"calico's by set", []facts.FilterRule{opaque(random)}, nil, ""},
		{"of what leaves by the uplink", []facts.FilterRule{with(random, func(r *facts.FilterRule) { r.OutLink = "eth+" })}, nil, "random"},
		{"of what leaves by another link", []facts.FilterRule{with(random, func(r *facts.FilterRule) { r.OutLink = "eth1" })}, nil, ""},
		{"of new connections", []facts.FilterRule{with(random, func(r *facts.FilterRule) { r.CTState = []string{"new"} })}, nil, "random"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := facts.Chain{Name: "POSTROUTING", Type: "nat", Hook: "postrouting", RulesRead: true, Rules: tt.rules}
			ns := &facts.Namespace{Tables: []facts.Table{{Backend: facts.BackendNFT, Family: "ip", Name: "nat", Chains: append([]facts.Chain{base}, tt.chains...)}}}
			if got := kindOf(masqueraded(ns, testPacket(), 8472)); got != tt.want {
				t.Errorf("masqueraded = %q; want %q", got, tt.want)
			}
		})
	}
}

func testPacket() packet {
	return tunnelPacket(netip.MustParseAddr("192.0.2.1"), outerPath{peer: netip.MustParseAddr("192.0.2.2"), link: &facts.Link{Name: "eth0"}})
}

func kindOf(m *masquerade) string {
	switch {
	case m == nil:
		return ""
	case m.randomFully:
		return "random"
	}
	return "plain"
}

// TestMasqueradedByTables holds the order of base chains, and that an accept ends its own alone.
func TestMasqueradedByTables(t *testing.T) {
	table := func(family, name, chainType string, priority int, rules ...facts.FilterRule) facts.Table {
		return facts.Table{Family: family, Name: name, Chains: []facts.Chain{{
			Name: "post", Type: chainType, Hook: "postrouting", Priority: priority, RulesRead: true, Rules: rules,
		}}}
	}
	masq, random := facts.FilterRule{Verdict: "masquerade"}, facts.FilterRule{Verdict: "masquerade", RandomFully: true}
	tests := []struct {
		name   string
		tables []facts.Table
		want   string
	}{
		{"lower priority first", []facts.Table{table("ip", "a", "nat", 100, random), table("ip", "b", "nat", 50, masq)}, "plain"},
		{"accept in another table", []facts.Table{table("ip", "a", "nat", 50, facts.FilterRule{Verdict: "accept"}), table("inet", "b", "nat", 100, random)}, "random"},
		{"the other family", []facts.Table{table("ip6", "a", "nat", 100, random)}, ""},
		{"no chain of NAT", []facts.Table{table("ip", "mangle", "filter", -150, random)}, ""},
		{"a drop", []facts.Table{table("ip", "a", "nat", 50, facts.FilterRule{Verdict: "drop"}), table("ip", "b", "nat", 100, random)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := kindOf(masqueraded(&facts.Namespace{Tables: tt.tables}, testPacket(), 8472)); got != tt.want {
				t.Errorf("masqueraded = %q; want %q", got, tt.want)
			}
		})
	}
}

func TestMasqueradeSource(t *testing.T) {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	eth0 := &facts.Link{Index: 2, Name: "eth0"}
	ns := &facts.Namespace{Addresses: []facts.Address{
		{Link: 3, Prefix: p("203.0.113.9/24"), Scope: "global"},
		{Link: 2, Prefix: p("169.254.7.1/16"), Scope: "link"},
		{Link: 2, Prefix: p("192.0.2.1/24"), Scope: "global"},
		{Link: 2, Prefix: p("192.0.2.228/24"), Scope: "global", Secondary: true},
		{Link: 2, Prefix: p("198.51.100.5/24"), Scope: "global"},
		{Link: 2, Prefix: p("2001:db8::1/64"), Scope: "global"},
	}}
	tests := []struct {
		name string
		path outerPath
		want string
	}{
		{"the peer is on the link", outerPath{peer: a("192.0.2.2"), link: eth0}, "192.0.2.1"},
		{"the peer is in the second prefix", outerPath{peer: a("198.51.100.9"), link: eth0}, "198.51.100.5"},
		{"the next hop is in the second prefix", outerPath{peer: a("10.0.0.1"), via: a("198.51.100.254"), link: eth0}, "198.51.100.5"},
		{"neither", outerPath{peer: a("10.0.0.1"), link: eth0}, "192.0.2.1"},
		{"no peer is known", outerPath{link: eth0}, "192.0.2.1"},
	}
	for _, tt := range tests {
		if got := masqueradeSource(ns, tt.path); got != a(tt.want) {
			t.Errorf("%s: masqueradeSource = %v; want %s", tt.name, got, tt.want)
		}
	}
	if got := masqueradeSource(&facts.Namespace{}, tests[0].path); got.IsValid() {
		t.Errorf("without addresses: masqueradeSource = %v; want none", got)
	}
}
