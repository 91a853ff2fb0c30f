package host

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// setCase is one rule as a person writes it, and the rules that it is told as.
type setCase struct {
	name, rule string
	want       []facts.FilterRule
}

// rulesWith gives copies of a rule, each changed by one of the values.
func rulesWith(r facts.FilterRule, set func(r *facts.FilterRule, v string), values ...string) (out []facts.FilterRule) {
	for _, v := range values {
		one := r
		set(&one, v)
		out = append(out, one)
	}
	return out
}

func setSrc(r *facts.FilterRule, v string)   { r.Src = v }
func setIn(r *facts.FilterRule, v string)    { r.InLink = v }
func setDPort(r *facts.FilterRule, v string) { r.DPort = v }
func setProto(r *facts.FilterRule, v string) { r.Proto = v }
func setMark(r *facts.FilterRule, v string)  { r.Mark = v }

func setCases() []setCase {
	accept, opaque := facts.FilterRule{Verdict: "accept"}, facts.FilterRule{Opaque: true}
	acceptMaybe := facts.FilterRule{Verdict: "accept", Opaque: true}
	tcp := facts.FilterRule{Verdict: "accept", Proto: "tcp"}
	return []setCase{
		{"states", "ct state { established, related } accept", []facts.FilterRule{{Verdict: "accept", CTState: []string{"established", "related"}}}},
		{"not states", "ct state != { established, related } drop", []facts.FilterRule{{Verdict: "drop", CTState: []string{"invalid", "new", "untracked"}}}},
		{"states by verdict", "ct state vmap { established : accept, related : accept, invalid : drop, new : jump g }", []facts.FilterRule{
			{Verdict: "drop", CTState: []string{"invalid"}}, {Verdict: "accept", CTState: []string{"established"}},
			{Verdict: "accept", CTState: []string{"related"}}, {Verdict: "jump", Target: "g", CTState: []string{"new"}},
		}},
		{"all other states", "ct state vmap { established : accept, new : jump g, * : drop }", []facts.FilterRule{
			{Verdict: "accept", CTState: []string{"established"}}, {Verdict: "jump", Target: "g", CTState: []string{"new"}},
			{Verdict: "drop", CTState: []string{"invalid", "related", "untracked"}},
		}},
		{"some states go on", "ct state vmap { established : continue, new : accept } drop", []facts.FilterRule{
			{Verdict: "drop", CTState: []string{"established"}}, {Verdict: "accept", CTState: []string{"new"}},
		}},
		{"links", `iifname { "cni0", "eth0" } accept`, rulesWith(accept, setIn, "cni0", "eth0")},
		{"not links", `iifname != { "cni0", "eth0" } drop`, []facts.FilterRule{{Verdict: "drop", Opaque: true}}},
		{"links by their start", `iifname { "cni*", "lo" } accept`, rulesWith(accept, setIn, "cni+", "lo")},
		{"links by verdict", `oifname vmap { "cni0" : accept, "lo" : drop, "x" : goto g, "y" : return }`, []facts.FilterRule{
			{Verdict: "accept", OutLink: "cni0"}, {Verdict: "drop", OutLink: "lo"}, {Verdict: "goto", Target: "g", OutLink: "x"}, {Verdict: "return", OutLink: "y"},
		}},
		{"one link and the others", `iifname vmap { "cni0" : jump g, * : drop }`, []facts.FilterRule{
			{Verdict: "jump", Target: "g", InLink: "cni0"}, {Verdict: "drop", InLink: "!cni0"},
		}},
		{"two links and the others", `iifname vmap { "a" : accept, "b" : return, * : jump g }`, []facts.FilterRule{
			{Verdict: "accept", InLink: "a"}, {Verdict: "return", InLink: "b"}, {Verdict: "jump", Target: "g"},
		}},
		{"one of them comes back", `iifname vmap { "a" : accept, "b" : jump g, * : drop }`, []facts.FilterRule{opaque}},
		{"one of them goes on", `iifname vmap { "a" : accept, "b" : continue, * : drop }`, []facts.FilterRule{opaque}},
		{"links by index", "iif { lo, va } accept", rulesWith(accept, setIn, "lo", "va")},
		{"addresses", "ip saddr { 10.0.0.0/8, 192.168.0.0/16 } accept", rulesWith(accept, setSrc, "10.0.0.0/8", "192.168.0.0/16")},
		{"single addresses", "ip saddr { 10.0.0.1, 10.0.0.9 } accept", rulesWith(accept, setSrc, "10.0.0.1/32", "10.0.0.9/32")},
		{"an interval", "ip saddr { 10.0.0.1-10.0.0.6, 10.9.0.0/16 } accept", rulesWith(accept, setSrc,
			"10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32", "10.9.0.0/16")},
		{"the ends of all addresses", "ip saddr { 0.0.0.0/8, 224.0.0.0/3 } drop", rulesWith(facts.FilterRule{Verdict: "drop"}, setSrc, "0.0.0.0/8", "224.0.0.0/3")},
		{"side by side", "ip saddr vmap { 10.0.0.0/9 : accept, 10.128.0.0/9 : drop }", []facts.FilterRule{
			{Verdict: "accept", Src: "10.0.0.0/9"}, {Verdict: "drop", Src: "10.128.0.0/9"},
		}},
		{"IPv6", "ip6 saddr { fd00::/8, ::1 } accept", rulesWith(accept, setSrc, "::1/128", "fd00::/8")},
		{"an interval of too many prefixes", "ip6 saddr { ::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe } accept", []facts.FilterRule{acceptMaybe}},
		{"one address and the others", "ip daddr vmap { 10.0.0.0/8 : jump g, * : drop }", []facts.FilterRule{
			{Verdict: "jump", Target: "g", Dst: "10.0.0.0/8"}, {Verdict: "drop", Dst: "!10.0.0.0/8"},
		}},
		{"ports", "tcp dport { 80, 443 } accept", rulesWith(tcp, setDPort, "80", "443")},
		{"ranges of ports", "tcp dport { 80, 1000-1010, 65000-65535 } accept", rulesWith(tcp, setDPort, "80", "1000:1010", "65000:65535")},
		{"protocols", "meta l4proto { tcp, udp } accept", rulesWith(accept, setProto, "tcp", "udp")},
		{"protocols and a port", "meta l4proto { tcp, udp } th dport 53 accept", rulesWith(facts.FilterRule{Verdict: "accept", DPort: "53"}, setProto, "tcp", "udp")},
		{"marks", "meta mark { 1, 7 } accept", rulesWith(accept, setMark, "0x1/0xffffffff", "0x7/0xffffffff")},
		{"marks that a chain may change", "meta mark { 1, 7 } jump g", []facts.FilterRule{{Verdict: "jump", Target: "g", Opaque: true}}},
		{"marks in intervals", "meta mark { 1, 3-9 } accept", []facts.FilterRule{acceptMaybe}},
		{"two sets", `iifname { "a", "b" } ip saddr { 10.0.0.1, 10.0.0.2 } drop`, []facts.FilterRule{
			{Verdict: "drop", InLink: "a", Src: "10.0.0.1/32"}, {Verdict: "drop", InLink: "a", Src: "10.0.0.2/32"},
			{Verdict: "drop", InLink: "b", Src: "10.0.0.1/32"}, {Verdict: "drop", InLink: "b", Src: "10.0.0.2/32"},
		}},
		{"too many together", fmt.Sprintf("tcp dport { %s } ip saddr { %s } accept", numbered("%d", 2, 10), numbered("10.0.0.%d", 2, 10)),
			[]facts.FilterRule{{Verdict: "accept", Proto: "tcp", Opaque: true}}},
		{"too many elements", "udp dport { " + numbered("%d", 2, maxElements+1) + " } accept", []facts.FilterRule{{Verdict: "accept", Proto: "udp", Opaque: true}}},
		{"a set and something else", `iifname { "a", "b" } limit rate 1/second accept`, rulesWith(acceptMaybe, setIn, "a", "b")},
		{"twice the same", `ip saddr 10.0.0.0/8 ip saddr { 10.0.0.1, 11.0.0.1 } accept`, rulesWith(facts.FilterRule{
			Verdict: "accept", Src: "10.0.0.0/8", Opaque: true,
		}, func(*facts.FilterRule, string) {}, "", "")},
		{"comment and counter", `iifname { "a", "b" } counter accept comment "why"`, rulesWith(facts.FilterRule{Verdict: "accept", Comment: "why"}, setIn, "a", "b")},
		{"named set", "ip saddr @named accept", []facts.FilterRule{acceptMaybe}},
		{"named map", "iifname vmap @verdicts", []facts.FilterRule{opaque}},
		{"named set, then local", "iifname @links fib daddr type local accept", []facts.FilterRule{acceptMaybe}},
		{"concatenation", "iifname . tcp dport { eth0 . 80, eth0 . 443 } accept", []facts.FilterRule{{Verdict: "accept", Proto: "tcp", Opaque: true}}},
		{"concatenated intervals", "ip saddr . tcp dport { 10.0.0.0/8 . 80-90 } accept", []facts.FilterRule{{Verdict: "accept", Proto: "tcp", Opaque: true}}},
		{"status", "ct status { dnat, snat } accept", []facts.FilterRule{acceptMaybe}},
		{"masked", "ip saddr & 255.0.0.255 { 10.0.0.1, 10.0.0.2 } accept", []facts.FilterRule{acceptMaybe}},
		{"part of an address", "@nh,96,8 { 10, 11 } accept", []facts.FilterRule{acceptMaybe}},
		{"of one family", "ip protocol { tcp, udp } accept", rulesWith(acceptMaybe, setProto, "tcp", "udp")},
		{"behind a mark", `mark set 0x1 iifname { "a", "b" } accept`, rulesWith(facts.FilterRule{
			Verdict: "accept", SetMark: "xor 0x1/0xffffffff", Opaque: true,
		}, func(*facts.FilterRule, string) {}, "", "")},
		{"mark by address", "mark set ip saddr map { 10.0.0.1 : 5, 10.0.0.2 : 6 }", []facts.FilterRule{
			{Verdict: "mark", SetMark: "xor 0x5/0xffffffff", Src: "10.0.0.1/32"}, {Verdict: "mark", SetMark: "xor 0x6/0xffffffff", Src: "10.0.0.2/32"},
		}},
		{"random", "numgen random mod 2 vmap { 0 : accept, 1 : drop }", []facts.FilterRule{opaque}},
	}
}

// numbered lists n numbers in a format, each a step away from the one before.
func numbered(format string, step, n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(format, step*i))
	}
	return strings.Join(all, ", ")
}

func TestNFTSets(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	var script strings.Builder
	script.WriteString("table inet fw {\n set named { type ipv4_addr; elements = { 10.0.0.1 }\n }\n set links { type ifname; elements = { cni0 }\n }\n" +
		" map verdicts { type ifname : verdict; elements = { cni0 : accept }\n }\n chain g {\n }\n")
	for i, c := range setCases() {
		fmt.Fprintf(&script, " chain c%d {\n  type filter hook forward priority %d;\n  %s\n }\n", i, i, c.rule)
	}
	script.WriteString("}\n")
	sh("ip link add va type veth peer name vb\nnft -f - <<'END'\n" + script.String() + "END")
	table := tableOf(t, inNS(t, h, h.Node().NFTables), facts.BackendNFT, "inet", "fw")
	for i, c := range setCases() {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, rulesOf(t, table, fmt.Sprintf("c%d", i))); d != "" {
				t.Errorf("%s (-want +got):\n%s", c.rule, d)
			}
		})
	}
}

// TestNFTSetBounds has more sets than are read, and a chain whose rules would become too many: what is beyond stays opaque.
func TestNFTSetBounds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, rule     string
		n, opaque, all int
	}{
		{"sets", "ct state { established, related } accept", maxSets + 9, 9, maxSets + 9},
		{"rules", "ip saddr { " + numbered("10.0.0.%d", 2, maxWays) + " } accept", 12, 4, 8*maxWays + 4}, // 8 rules become 504 more
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, sh := filterNS(t)
			sh("nft -f - <<'END'\ntable ip x {\n chain f {\n  type filter hook forward priority 0;\n" + strings.Repeat("  "+tt.rule+"\n", tt.n) + " }\n}\nEND")
			rules := rulesOf(t, tableOf(t, inNS(t, h, h.Node().NFTables), facts.BackendNFT, "ip", "x"), "f")
			opaque := 0
			for _, r := range rules {
				if r.Opaque {
					opaque++
				}
			}
			if opaque != tt.opaque || len(rules) != tt.all {
				t.Errorf("%d rules, %d of them opaque; want %d, %d", len(rules), opaque, tt.all, tt.opaque)
			}
		})
	}
}

func TestRangePrefixes(t *testing.T) {
	for _, tt := range []struct {
		name, from, to string
		want           string
	}{
		{"one address", "10.0.0.1", "10.0.0.1", "10.0.0.1/32"},
		{"a prefix", "10.0.0.0", "10.255.255.255", "10.0.0.0/8"},
		{"everything", "0.0.0.0", "255.255.255.255", "0.0.0.0/0"},
		{"the end", "255.255.255.254", "255.255.255.255", "255.255.255.254/31"},
		{"all but the first", "0.0.0.1", "0.0.0.7", "0.0.0.1/32 0.0.0.2/31 0.0.0.4/30"},
		{"IPv6", "fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fd00::/8"},
		{"backwards", "10.0.0.2", "10.0.0.1", ""},
		{"two families", "10.0.0.2", "fd00::", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range rangePrefixes(netip.MustParseAddr(tt.from).AsSlice(), netip.MustParseAddr(tt.to).AsSlice()) {
				got = append(got, p.String())
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("rangePrefixes(%s, %s) = %s; want %s", tt.from, tt.to, got, tt.want)
			}
		})
	}
}

// setElement builds the attributes of one element.
func setElement(key []byte, attrs ...[]byte) []byte {
	var e []byte
	if key != nil {
		e = value(unix.NFTA_SET_ELEM_KEY, key...)
	}
	for _, a := range attrs {
		e = append(e, a...)
	}
	return e
}

// TestNFTSetUnknown has elements that no program makes today: a set with one of them is not understood.
func TestNFTSetUnknown(t *testing.T) {
	end := be32(unix.NFTA_SET_ELEM_FLAGS, unix.NFT_SET_ELEM_INTERVAL_END)
	limit := appendAttr(nil, unix.NFTA_SET_ELEM_EXPR, appendAttr(nil, unix.NFTA_EXPR_NAME, nulString("limit")))
	counter := appendAttr(nil, unix.NFTA_SET_ELEM_EXPR, appendAttr(nil, unix.NFTA_EXPR_NAME, nulString("counter")))
	a, b := []byte{10, 0, 0, 1}, []byte{10, 0, 0, 2}
	for _, tt := range []struct {
		name     string
		flags    uint32
		elements [][]byte
		ok       bool
	}{
		{"understood", 0, [][]byte{setElement(a), setElement(b)}, true},
		{"counted", 0, [][]byte{setElement(a, counter)}, true},
		{"limited", 0, [][]byte{setElement(a, limit)}, false},
		{"two expressions", 0, [][]byte{setElement(a, appendAttr(nil, nftaSetElemExpressions, append(
			appendAttr(nil, unix.NFTA_LIST_ELEM, appendAttr(nil, unix.NFTA_EXPR_NAME, nulString("counter"))),
			appendAttr(nil, unix.NFTA_LIST_ELEM, appendAttr(nil, unix.NFTA_EXPR_NAME, nulString("quota")))...)))}, false},
		{"interval", unix.NFT_SET_INTERVAL, [][]byte{setElement(b, end), setElement(a)}, true},
		{"end in a set without intervals", 0, [][]byte{setElement(a), setElement(b, end)}, false},
		{"twice the same", 0, [][]byte{setElement(a), setElement(a)}, false},
		{"key of another size", 0, [][]byte{setElement([]byte{10})}, false},
		{"no key", 0, [][]byte{setElement(nil)}, false},
		{"times out", 0, [][]byte{setElement(a, be32(unix.NFTA_SET_ELEM_TIMEOUT, 1))}, false},
		{"unknown attribute", 0, [][]byte{setElement(a, be32(99, 1))}, false},
		{"unknown flag", 0, [][]byte{setElement(a, be32(unix.NFTA_SET_ELEM_FLAGS, 8))}, false},
		{"everything else, twice", 0, [][]byte{setElement(a), setElement(nil, be32(unix.NFTA_SET_ELEM_FLAGS, 2)), setElement(nil, be32(unix.NFTA_SET_ELEM_FLAGS, 2))}, false},
		{"empty", 0, nil, false},
		{"only ends", unix.NFT_SET_INTERVAL, [][]byte{setElement(a, end)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := nftSetDecoder{head: nftSetHead{flags: tt.flags, keyLen: 4}, ok: true}
			for _, e := range tt.elements {
				if err := d.element(e); err != nil {
					t.Fatal(err)
				}
			}
			if s := d.set(); s != nil != tt.ok {
				t.Errorf("set() = %+v; want understood %v", s, tt.ok)
			}
		})
	}
	for _, h := range []nftSetHead{
		{flags: 0, keyLen: 4}, {flags: unix.NFT_SET_ANONYMOUS | unix.NFT_SET_TIMEOUT, keyLen: 4}, {flags: unix.NFT_SET_ANONYMOUS},
		{flags: unix.NFT_SET_ANONYMOUS, keyLen: 65}, {flags: unix.NFT_SET_ANONYMOUS, keyLen: 4, size: maxBounds + 1},
	} {
		if h.readable() {
			t.Errorf("%+v is readable; want it left alone", h)
		}
	}
}

func FuzzNFTSet(f *testing.F) {
	message := func(elements ...[]byte) []byte {
		var list []byte
		for _, e := range elements {
			list = append(list, appendAttr(nil, unix.NFTA_LIST_ELEM, e)...)
		}
		return appendAttr(nfgenmsg(unix.NFPROTO_IPV4), unix.NFTA_SET_ELEM_LIST_ELEMENTS, list)
	}
	lookup := func(load []byte, dreg ...[]byte) []byte {
		attrs := append([][]byte{be32(unix.NFTA_LOOKUP_SREG, 1), appendAttr(nil, unix.NFTA_LOOKUP_SET, nulString("__set0"))}, dreg...)
		return rule(load, expression("lookup", attrs...), expression("immediate", be32(1, 1), value(2, 1)))
	}
	verdict := appendAttr(nil, unix.NFTA_SET_ELEM_DATA, appendAttr(nil, unix.NFTA_DATA_VERDICT, be32(unix.NFTA_VERDICT_CODE, 1)))
	end, rest := be32(unix.NFTA_SET_ELEM_FLAGS, 1), be32(unix.NFTA_SET_ELEM_FLAGS, 2)
	source := expression("payload", be32(1, 1), be32(2, 1), be32(3, 12), be32(4, 4))
	f.Add(uint32(unix.NFT_SET_INTERVAL), uint32(4), message(setElement([]byte{0, 0, 0, 0}, end), setElement([]byte{10, 0, 0, 1}), setElement([]byte{10, 0, 0, 9}, end)),
		lookup(source))
	f.Add(uint32(unix.NFT_SET_MAP), uint32(4), message(setElement([]byte{2, 0, 0, 0}, verdict), setElement(nil, rest, verdict)),
		lookup(expression("ct", be32(1, 1), be32(2, 0)), be32(unix.NFTA_LOOKUP_DREG, 0)))
	f.Add(uint32(0), uint32(16), message(setElement([]byte("cni0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))),
		lookup(expression("meta", be32(1, 1), be32(2, unix.NFT_META_IIFNAME)), be32(unix.NFTA_LOOKUP_FLAGS, 1)))
	f.Fuzz(func(t *testing.T, flags, keyLen uint32, elements, attrs []byte) {
		d := nftSetDecoder{head: nftSetHead{flags: flags | unix.NFT_SET_ANONYMOUS, keyLen: keyLen}, ok: true}
		if !d.head.readable() || eachElement(elements, d.element) != nil {
			return
		}
		s := d.set()
		if s != nil && len(s.elements) > maxElements {
			t.Errorf("%d elements; want at most %d", len(s.elements), maxElements)
		}
		for _, family := range []uint8{unix.NFPROTO_INET, unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
			rules, err := decodeNFTSets(family, attrs, func(uint32) string { return "lo" }, func(string) (*nftSet, error) { return s, nil })
			if err == nil && (len(rules) == 0 || len(rules) > maxWays) {
				t.Errorf("%d rules; want 1 to %d", len(rules), maxWays)
			}
		}
	})
}
