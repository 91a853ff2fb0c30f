package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

// filterNS makes a network namespace for one test and opens it as a node. A shell in it runs scripts.
func filterNS(t testing.TB) (h *Host, sh func(script string)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	name := fmt.Sprintf("nmf%d-%d", os.Getpid(), filterNSCount.Add(1))
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("ip", "netns", "add", name)
	t.Cleanup(func() { run("ip", "netns", "del", name) })
	run("ip", "-n", name, "link", "set", "lo", "up")
	h, err := Open(Options{NetNS: filepath.Join("/run/netns", name)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, func(script string) {
		t.Helper()
		run("ip", "netns", "exec", name, "sh", "-ec", script)
	}
}

// filterNSCount makes the names of namespaces unique within one run.
var filterNSCount atomic.Int64

// inNS runs fn in the node's namespace and fails the test when it cannot.
func inNS[T any](t testing.TB, h *Host, fn func() (T, error)) (v T) {
	t.Helper()
	if err := h.Node().Do(func() (err error) { v, err = fn(); return err }); err != nil {
		t.Fatal(err)
	}
	return v
}

func tableOf(t testing.TB, tables []facts.Table, backend, family, name string) *facts.Table {
	t.Helper()
	ns := facts.Namespace{Tables: tables}
	table := ns.Table(backend, family, name)
	if table == nil {
		t.Fatalf("no table %s %s %s in %+v", backend, family, name, tables)
	}
	return table
}

// rulesOf gives the rules of a chain without their counters.
func rulesOf(t testing.TB, table *facts.Table, chain string) []facts.FilterRule {
	t.Helper()
	c := table.Chain(chain)
	if c == nil || !c.RulesRead {
		t.Fatalf("chain %s of %s %s was not read: %+v", chain, table.Family, table.Name, c)
	}
	rules := c.Rules
	for i := range rules {
		rules[i].Packets = nil
	}
	return rules
}

// ruleCase is one rule as a person writes it, and what is to be understood of it.
type ruleCase struct {
	name, rule string
	want       facts.FilterRule
}

func nftCases() []ruleCase {
	return []ruleCase{
		{"states", "ct state established,related accept", facts.FilterRule{Verdict: "accept", CTState: []string{"established", "related"}}},
		{"state", "ct state new", facts.FilterRule{CTState: []string{"new"}}},
		{"state negated", "ct state != established drop", facts.FilterRule{Verdict: "drop", CTState: []string{"invalid", "related", "new", "untracked"}}},
		{"untracked", "ct state untracked accept", facts.FilterRule{Verdict: "accept", CTState: []string{"untracked"}}},
		{"status", "ct status dnat accept", facts.FilterRule{Verdict: "accept", CTStatus: []string{"dnat"}}},
		{"link by index", "iif lo accept", facts.FilterRule{Verdict: "accept", InLink: "lo"}},
		{"link", "oifname cni0 accept", facts.FilterRule{Verdict: "accept", OutLink: "cni0"}},
		{"links", `iifname "eth*" accept`, facts.FilterRule{Verdict: "accept", InLink: "eth+"}},
		{"not a link", `oifname != docker0 accept`, facts.FilterRule{Verdict: "accept", OutLink: "!docker0"}},
		{
			"addresses", `ip saddr 10.0.0.0/8 ip daddr != 10.1.2.3 accept comment "hi there"`,
			facts.FilterRule{Verdict: "accept", Src: "10.0.0.0/8", Dst: "!10.1.2.3/32", Comment: "hi there"},
		},
		{"prefix within a byte", "ip saddr 10.128.0.0/9 accept", facts.FilterRule{Verdict: "accept", Src: "10.128.0.0/9"}},
		{"address range", "ip saddr 10.0.0.1-10.0.0.9 accept", facts.FilterRule{Verdict: "accept", Opaque: true}},
		{"IPv6 prefix", "ip6 daddr fd00:1::/63 accept", facts.FilterRule{Verdict: "accept", Dst: "fd00:1::/63"}},
		{"port", "udp dport 4789 accept", facts.FilterRule{Verdict: "accept", Proto: "udp", DPort: "4789"}},
		{"ports", "tcp dport 80-90 accept", facts.FilterRule{Verdict: "accept", Proto: "tcp", DPort: "80:90"}},
		{"other ports", "tcp dport != 80-90 accept", facts.FilterRule{Verdict: "accept", Proto: "tcp", DPort: "!80:90"}},
		{"from a port on", "tcp dport >= 80 accept", facts.FilterRule{Verdict: "accept", Proto: "tcp", Opaque: true}},
		{"source port", "tcp sport 80 accept", facts.FilterRule{Verdict: "accept", Proto: "tcp", Opaque: true}},
		{"port of any protocol", "th dport 53 accept", facts.FilterRule{Verdict: "accept", Opaque: true}},
		{"protocol of one family", "ip protocol udp accept", facts.FilterRule{Verdict: "accept", Proto: "udp", Opaque: true}},
		{"one family", "meta nfproto ipv4 accept", facts.FilterRule{Verdict: "accept", Opaque: true}},
		{"TCP flags", "tcp flags syn accept", facts.FilterRule{Verdict: "accept", Proto: "tcp", Opaque: true}},
		{"mark", "meta mark 0x1 accept", facts.FilterRule{Verdict: "accept", Mark: "0x1/0xffffffff"}},
		{"bit not set", "mark and 0x4000 == 0 return", facts.FilterRule{Verdict: "return", Mark: "!0x4000/0x4000"}},
		{"bit set", "mark and 0x4000 == 0x4000 return", facts.FilterRule{Verdict: "return", Mark: "0x4000/0x4000"}},
		{"some bit set", "mark and 0xc000 != 0 return", facts.FilterRule{Verdict: "return", Mark: "!0x0/0xc000"}},
		{"or", "mark set mark or 0x4000", facts.FilterRule{Verdict: "mark", SetMark: "xor 0x4000/0x4000"}},
		{"xor", "mark set mark xor 0x4000", facts.FilterRule{Verdict: "mark", SetMark: "xor 0x4000/0x0"}},
		{"and", "mark set mark and 0xff", facts.FilterRule{Verdict: "mark", SetMark: "xor 0x0/0xffffff00"}},
		{"set", "mark set 0x1 accept", facts.FilterRule{Verdict: "accept", SetMark: "xor 0x1/0xffffffff"}},
		{"mark of the connection", "mark set ct mark", facts.FilterRule{Verdict: "mark", Opaque: true}},
		{"match behind a mark", "mark set 0x1 udp dport 53 accept", facts.FilterRule{Verdict: "accept", SetMark: "xor 0x1/0xffffffff", Opaque: true}},
		{"limit", "limit rate 1/second accept", facts.FilterRule{Verdict: "accept", Opaque: true}},
		{"log", `log prefix "x" drop`, facts.FilterRule{Verdict: "drop"}},
		{"reject", "reject", facts.FilterRule{Verdict: "reject"}},
		{"reset", "reject with tcp reset", facts.FilterRule{Verdict: "reject", Proto: "tcp"}},
		{"notrack", "notrack", facts.FilterRule{Verdict: "notrack"}},
		{"verdict map", "ip daddr . meta l4proto . th dport vmap @m", facts.FilterRule{Opaque: true}},
		{"local destination", "fib daddr type local drop", facts.FilterRule{Verdict: "drop", Opaque: true}},
		{"kind of packet", "meta pkttype multicast accept", facts.FilterRule{Verdict: "accept", Opaque: true}},
		{"counter", "counter", facts.FilterRule{}},
		{"jump", "ip daddr 1.2.3.4 jump g", facts.FilterRule{Verdict: "jump", Target: "g", Dst: "1.2.3.4/32"}},
		{"goto", "goto g", facts.FilterRule{Verdict: "goto", Target: "g"}},
	}
}

func nftNATCases() []ruleCase {
	return []ruleCase{
		{
			"masquerade", "oifname != docker0 ip saddr 10.2.0.0/16 masquerade random",
			facts.FilterRule{Verdict: "masquerade", OutLink: "!docker0", Src: "10.2.0.0/16"},
		},
		{"fully random", "masquerade fully-random", facts.FilterRule{Verdict: "masquerade", RandomFully: true}},
		{"snat", "snat ip to 1.2.3.4", facts.FilterRule{Verdict: "snat", Opaque: true}},
		{"snat fully random", "snat ip to 1.2.3.4 fully-random", facts.FilterRule{Verdict: "snat", RandomFully: true, Opaque: true}},
	}
}

func TestNFTRules(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	var script strings.Builder
	script.WriteString("table inet fw {\n map m { type ipv4_addr . inet_proto . inet_service : verdict;\n }\n chain g {\n }\n" +
		" chain f {\n type filter hook prerouting priority -299;\n")
	for _, c := range nftCases() {
		// Only here may every statement stand but reject and notrack, which have hooks of their own.
		if c.rule != "notrack" && !strings.HasPrefix(c.rule, "reject") {
			fmt.Fprintf(&script, "  %s\n", c.rule)
		}
	}
	script.WriteString(" }\n chain i {\n type filter hook input priority 0; policy drop;\n reject\n reject with tcp reset\n }\n" +
		" chain r {\n type filter hook output priority -300;\n notrack\n }\n chain n {\n type nat hook postrouting priority srcnat;\n")
	for _, c := range nftNATCases() {
		fmt.Fprintf(&script, "  %s\n", c.rule)
	}
	script.WriteString(" }\n}\n")
	sh("nft -f - <<'END'\n" + script.String() + "END")

	table := tableOf(t, inNS(t, h, h.Node().NFTables), facts.BackendNFT, "inet", "fw")
	if d := cmp.Diff([]string{"m"}, table.Maps); d != "" {
		t.Errorf("maps (-want +got):\n%s", d)
	}
	next := map[string]int{}
	check := func(chain string, c ruleCase) {
		t.Run(c.name, func(t *testing.T) {
			rules := rulesOf(t, table, chain)
			i := next[chain]
			next[chain]++
			if i >= len(rules) {
				t.Fatalf("chain %s has %d rules", chain, len(rules))
			}
			if d := cmp.Diff(c.want, rules[i]); d != "" {
				t.Errorf("%s (-want +got):\n%s", c.rule, d)
			}
		})
	}
	for _, c := range nftCases() {
		switch {
		case c.rule == "notrack":
			check("r", c)
		case strings.HasPrefix(c.rule, "reject"):
			check("i", c)
		default:
			check("f", c)
		}
	}
	for _, c := range nftNATCases() {
		check("n", c)
	}
	for chain, n := range next {
		if got := len(rulesOf(t, table, chain)); got != n {
			t.Errorf("chain %s has %d rules; %d were compared", chain, got, n)
		}
	}
}
