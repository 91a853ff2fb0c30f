package host

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// iptablesCases are rules of table filter, written once for all four programs: NET and HOST stand for a prefix and an address of the family.
func iptablesCases() []ruleCase {
	return []ruleCase{
		{
			"everything", `-i cni0 -o cali+ -s NET ! -d HOST -p tcp --dport 80:90 -m comment --comment "two words" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
			facts.FilterRule{
				Verdict: "accept", InLink: "cni0", OutLink: "cali+", Src: "NET", Dst: "!HOST", Proto: "tcp", DPort: "80:90", Comment: "two words",
				CTState: []string{"established", "related"},
			},
		},
		{"not a link", "! -i docker0 -p udp --dport 53 -j DROP", facts.FilterRule{Verdict: "drop", InLink: "!docker0", Proto: "udp", DPort: "53"}},
		{"not a port", "-p tcp ! --dport 33 -j DROP", facts.FilterRule{Verdict: "drop", Proto: "tcp", DPort: "!33"}},
		{"not a protocol", "! -p udp -j DROP", facts.FilterRule{Verdict: "drop", Proto: "!udp"}},
		{"source port", "-p udp --sport 53 -j DROP", facts.FilterRule{Verdict: "drop", Proto: "udp", Opaque: true}},
		{"several ports", "-p tcp -m multiport --dports 1,2 -j DROP", facts.FilterRule{Verdict: "drop", Proto: "tcp", Opaque: true}},
		{"TCP flags", "-p tcp --syn -j DROP", facts.FilterRule{Verdict: "drop", Proto: "tcp", Opaque: true}},
		{"state alias", "-m state --state INVALID,UNTRACKED -j DROP", facts.FilterRule{Verdict: "drop", CTState: []string{"invalid", "untracked"}}},
		{
			"not a state", "-m conntrack ! --ctstate NEW -j ACCEPT",
			facts.FilterRule{Verdict: "accept", CTState: []string{"invalid", "established", "related", "untracked"}},
		},
		{"translated", "-m conntrack --ctstate DNAT -j ACCEPT", facts.FilterRule{Verdict: "accept", CTStatus: []string{"dnat"}}},
		{"translated or new", "-m conntrack --ctstate DNAT,NEW -j ACCEPT", facts.FilterRule{Verdict: "accept", Opaque: true}},
		{"status", "-m conntrack --ctstatus ASSURED -j ACCEPT", facts.FilterRule{Verdict: "accept", CTStatus: []string{"assured"}}},
		{"direction", "-m conntrack --ctstate NEW --ctdir ORIGINAL -j ACCEPT", facts.FilterRule{Verdict: "accept", CTState: []string{"new"}, Opaque: true}},
		{"mark", "-m mark --mark 0x4000/0x4000 -j ACCEPT", facts.FilterRule{Verdict: "accept", Mark: "0x4000/0x4000"}},
		{"not a mark", "-m mark ! --mark 0x4000/0x4000 -j RETURN", facts.FilterRule{Verdict: "return", Mark: "!0x4000/0x4000"}},
		{"whole mark", "-m mark --mark 7 -j ACCEPT", facts.FilterRule{Verdict: "accept", Mark: "0x7/0xffffffff"}},
		{"local destination", "-m addrtype --dst-type LOCAL -j ACCEPT", facts.FilterRule{Verdict: "accept", Opaque: true}},
		{"limit", "-m limit --limit 1/s -j ACCEPT", facts.FilterRule{Verdict: "accept", Opaque: true}},
		{"reject", "-j REJECT", facts.FilterRule{Verdict: "reject"}},
		{"log", "-j LOG", facts.FilterRule{Target: "LOG"}},
		{"counter", "-s NET", facts.FilterRule{Src: "NET"}},
		{"jump", "-j OTHER", facts.FilterRule{Verdict: "jump", Target: "OTHER"}},
		{"goto", "-d HOST -g OTHER", facts.FilterRule{Verdict: "goto", Target: "OTHER", Dst: "HOST"}},
	}
}

func iptablesNATCases() []ruleCase {
	return []ruleCase{
		{"masquerade", "-s NET ! -o docker0 -j MASQUERADE", facts.FilterRule{Verdict: "masquerade", Src: "NET", OutLink: "!docker0"}},
		{"masquerade fully random", "-j MASQUERADE --random-fully", facts.FilterRule{Verdict: "masquerade", RandomFully: true}},
		{"masquerade random", "-j MASQUERADE --random", facts.FilterRule{Verdict: "masquerade"}},
		{"snat", "-j SNAT --to-source ADDR", facts.FilterRule{Verdict: "snat"}},
		{"snat fully random", "-j SNAT --to-source ADDR --random-fully", facts.FilterRule{Verdict: "snat", RandomFully: true}},
		{"mark xor", "-j MARK --xor-mark 0x4000", facts.FilterRule{Verdict: "mark", SetMark: "xor 0x4000/0x0"}},
		{"mark or", "-j MARK --or-mark 0x4000", facts.FilterRule{Verdict: "mark", SetMark: "xor 0x4000/0x4000"}},
		{"mark set", "-j MARK --set-mark 1", facts.FilterRule{Verdict: "mark", SetMark: "xor 0x1/0xffffffff"}},
		{"accept", "-p udp --dport 8472 -j ACCEPT", facts.FilterRule{Verdict: "accept", Proto: "udp", DPort: "8472"}},
	}
}

func iptablesMangleCases() []ruleCase {
	return []ruleCase{
		{
			"segment size", "-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
			facts.FilterRule{Target: "TCPMSS", Proto: "tcp", Opaque: true},
		},
		{"checksum", "-p udp --dport 68 -j CHECKSUM --checksum-fill", facts.FilterRule{Target: "CHECKSUM", Proto: "udp", DPort: "68"}},
		{"mark of the connection", "-j CONNMARK --restore-mark", facts.FilterRule{Target: "CONNMARK"}},
	}
}

// TestIPTablesRules gives the same rules to both backends in both families: they must be understood alike, whether a match is a native expression of
// nftables, an xtables one inside it, or in a legacy table.
func TestIPTablesRules(t *testing.T) {
	t.Parallel()
	tables := []struct {
		name, chain string
		cases       []ruleCase
	}{
		{"filter", "FORWARD", iptablesCases()}, {"nat", "POSTROUTING", iptablesNATCases()}, {"mangle", "FORWARD", iptablesMangleCases()},
		{"raw", "PREROUTING", []ruleCase{{"notrack", "-j CT --notrack", facts.FilterRule{Verdict: "notrack"}}}},
	}
	for _, backend := range []string{facts.BackendNFT, facts.BackendLegacy} {
		for program, words := range map[string]*strings.Replacer{
			"iptables":  strings.NewReplacer("NET", "10.0.0.0/15", "HOST", "10.1.2.3/32", "ADDR", "1.2.3.4"),
			"ip6tables": strings.NewReplacer("NET", "fd00:1::/47", "HOST", "fd00::1/128", "ADDR", "fd00::2"),
		} {
			t.Run(program+"-"+backend, func(t *testing.T) {
				t.Parallel()
				h, sh := filterNS(t)
				script := "-N OTHER\n"
				for _, table := range tables {
					for _, c := range table.cases {
						script += fmt.Sprintf("-t %s -A %s %s\n", table.name, table.chain, words.Replace(c.rule))
					}
				}
				script += "-P FORWARD DROP\n"
				var lines strings.Builder
				for line := range strings.Lines(script) {
					fmt.Fprintf(&lines, "%s-%s -w %s", program, backend, line)
				}
				sh(lines.String())
				read := h.Node().NFTables
				if backend == facts.BackendLegacy {
					read = h.Node().Legacy
				}
				all := inNS(t, h, read)
				family := map[string]string{"iptables": "ip", "ip6tables": "ip6"}[program]
				for _, table := range tables {
					compareRules(t, tableOf(t, all, backend, family, table.name), table.chain, table.cases, words)
				}
				forward := tableOf(t, all, backend, family, "filter").Chain("FORWARD")
				if forward.Policy != "drop" || forward.Hook != "forward" || forward.Type != "filter" || forward.Priority != 0 || forward.Packets == nil {
					t.Errorf("base chain %+v; want one at forward with policy drop and its counter", *forward)
				}
			})
		}
	}
}

func compareRules(t *testing.T, table *facts.Table, chain string, cases []ruleCase, words *strings.Replacer) {
	t.Helper()
	rules := rulesOf(t, table, chain)
	if len(rules) != len(cases) {
		t.Fatalf("%s %s has %d rules; want %d", table.Name, chain, len(rules), len(cases))
	}
	for i, c := range cases {
		want := c.want
		want.Src, want.Dst = words.Replace(want.Src), words.Replace(want.Dst)
		if d := cmp.Diff(want, rules[i]); d != "" {
			t.Errorf("%s: %s (-want +got):\n%s", c.name, c.rule, d)
		}
	}
}

func TestXTShortInfo(t *testing.T) {
	long := make([]byte, 200)
	for _, tt := range []struct {
		name     string
		revision uint32
		size     int // the least that is understood
	}{
		{"mark", 1, 9}, {"state", 0, 4}, {"conntrack", 1, 152}, {"conntrack", 2, 154}, {"conntrack", 3, 154}, {"tcp", 0, 12}, {"udp", 0, 9},
	} {
		t.Run(fmt.Sprintf("%s.%d", tt.name, tt.revision), func(t *testing.T) {
			b := &ruleBuilder{family: unix.NFPROTO_IPV4}
			b.xtMatch(tt.name, tt.revision, long[:tt.size-1])
			if !b.Opaque {
				t.Errorf("xtMatch of %d bytes = %+v; want it opaque", tt.size-1, b.FilterRule)
			}
		})
	}
	for _, name := range []string{"MASQUERADE", "SNAT", "MARK"} {
		b := &ruleBuilder{family: unix.NFPROTO_IPV4}
		b.xtTarget(name, 0, nil)
		if !b.Opaque {
			t.Errorf("xtTarget(%s) without info = %+v; want it opaque", name, b.FilterRule)
		}
	}
}

func FuzzXT(f *testing.F) {
	info := make([]byte, 164)
	binary.NativeEndian.PutUint16(info[146:], 1)
	f.Add("conntrack", uint32(3), info)
	f.Add("tcp", uint32(0), []byte{0, 0, 0xff, 0xff, 80, 0, 90, 0, 0, 0, 0, 2})
	f.Add("MASQUERADE", uint32(0), []byte{1, 0, 0, 0, 16, 0, 0, 0})
	f.Add("mark", uint32(1), []byte("valuemask1"))
	f.Fuzz(func(t *testing.T, name string, revision uint32, info []byte) {
		for _, family := range []uint8{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
			b := &ruleBuilder{family: family}
			b.xtMatch(name, revision, info)
			b.xtTarget(name, revision, info)
		}
	})
}
