package fix

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// Partial is the value of a rule knob of which something is there and something is missing, as a program leaves it that dies half way.
const Partial = "partial"

// NFTable is netmend's own table, of family inet, on nodes where kube-proxy uses nftables or iptables has no chain to jump from.
const NFTable = "netmend"

// RuleSpec is what a rule knob means in the packet filter.
type RuleSpec struct {
	Families []string // ip, ip6: what the rule may concern
	Table    string   // of iptables
	Base     string   // the chain of Table that jumps to Chain from its head
	Chain    string   // netmend's own
	Rules    []IPTRule

	// Own is the same as a base chain of netmend's own nftables table, and OwnText that chain's body as nft reads it; nil where that cannot do it.
	Own     *facts.Chain
	OwnText string
}

// IPTRule is one rule: the arguments that iptables appends it with, and how a snapshot shows it.
type IPTRule struct {
	Args []string
	Fact facts.FilterRule
}

// ParseRule reads a rule knob.
//
// In netmend's own table the tunnel's packets skip connection tracking instead of being accepted: accept ends the evaluation of its own base chain
// only, and the next one at the nat hook still translates (nf_nat_inet_fn walks all of them until one has set up the translation). What is not tracked is never translated.
// A pod CIDR cannot be accepted there at all: another base chain's drop wins over any accept.
func ParseRule(k Knob) (RuleSpec, error) {
	family, arg := k.Split()
	name, value, _ := strings.Cut(arg, ":")
	if family != FamilyRule {
		return RuleSpec{}, fmt.Errorf("knob %q is no rule", k)
	}
	switch name {
	case "mss-clamp":
		if value == "" {
			return mssClamp(), nil
		}
	case "tunnel-accept":
		if port, err := strconv.ParseUint(value, 10, 16); err == nil && port > 0 && RuleTunnelAccept(uint16(port)) == k {
			return tunnelAccept(value), nil
		}
	case "forward-accept":
		if cidr, err := netip.ParsePrefix(value); err == nil && cidr == cidr.Masked() && RuleForwardAccept(cidr) == k {
			return forwardAccept(cidr), nil
		}
	}
	return RuleSpec{}, fmt.Errorf("no rule %q", arg)
}

func mssClamp() RuleSpec {
	return RuleSpec{
		Families: []string{"ip", "ip6"}, Table: "mangle", Base: "FORWARD", Chain: "NETMEND-MSS",
		Rules: []IPTRule{{
			Args: []string{"-p", "tcp", "--tcp-flags", "SYN,RST", "SYN", "-j", "TCPMSS", "--clamp-mss-to-pmtu"},
			Fact: facts.FilterRule{Target: "TCPMSS", Proto: "tcp", Opaque: true},
		}},
		Own: &facts.Chain{
			Name: "mss-clamp", Type: "filter", Hook: "forward", Priority: -150, Policy: "accept", RulesRead: true,
			Rules: []facts.FilterRule{{Proto: "tcp", Opaque: true}},
		},
		OwnText: "type filter hook forward priority -150; tcp flags & (syn|rst) == syn tcp option maxseg size set rt mtu;",
	}
}

func tunnelAccept(port string) RuleSpec {
	return RuleSpec{
		Families: []string{"ip", "ip6"}, Table: "nat", Base: "POSTROUTING", Chain: "NETMEND-POSTROUTING",
		Rules: []IPTRule{{
			Args: []string{"-p", "udp", "--dport", port, "-j", "ACCEPT"},
			Fact: facts.FilterRule{Verdict: "accept", Proto: "udp", DPort: port},
		}},
		Own: &facts.Chain{
			Name: "tunnel-accept-" + port, Type: "filter", Hook: "output", Priority: -300, Policy: "accept", RulesRead: true,
			Rules: []facts.FilterRule{{Verdict: "notrack", Proto: "udp", DPort: port}},
		},
		OwnText: "type filter hook output priority -300; udp dport " + port + " notrack;",
	}
}

func forwardAccept(cidr netip.Prefix) RuleSpec {
	family := "ip"
	if cidr.Addr().Is6() {
		family = "ip6"
	}
	return RuleSpec{
		Families: []string{family}, Table: "filter", Base: "FORWARD", Chain: "NETMEND-FORWARD",
		Rules: []IPTRule{
			{Args: []string{"-s", cidr.String(), "-j", "ACCEPT"}, Fact: facts.FilterRule{Verdict: "accept", Src: cidr.String()}},
			{Args: []string{"-d", cidr.String(), "-j", "ACCEPT"}, Fact: facts.FilterRule{Verdict: "accept", Dst: cidr.String()}},
		},
	}
}

// shows says whether a rule of a snapshot is this one. Counters and comments are nobody's; of a TCPMSS rule only the target is known.
func (r IPTRule) shows(f facts.FilterRule) bool {
	want := r.Fact
	if want.Target != "" {
		return f.Target == want.Target
	}
	return f.Verdict == want.Verdict && f.Src == want.Src && f.Dst == want.Dst && f.Proto == want.Proto && f.DPort == want.DPort &&
		f.InLink == "" && f.OutLink == "" && f.Mark == "" && len(f.CTState) == 0 && !f.Opaque
}

// The values that the two backends are known by: kubelet's chains say which backend it uses (KUBE-IPTABLES-HINT since Kubernetes 1.24,
// KUBE-KUBELET-CANARY before), kube-proxy's where there is no kubelet.
func backendHints() []string {
	return []string{"KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY", "KUBE-SERVICES"}
}

// RuleSite is where a rule is, or is to be: a family of an iptables backend, or netmend's own nftables table.
type RuleSite struct {
	Own     bool // netmend's own table; the other fields are then empty
	Backend string
	Family  string
}

// Place says where the rule belongs on a node with these tables. Beside kube-proxy's nftables table that is netmend's own; else the iptables backend that
// has the base chain. Of two, a FORWARD that drops needs the rule more; then kubelet's or kube-proxy's chains decide, and at last it is nft.
func (r RuleSpec) Place(tables []facts.Table) ([]RuleSite, error) {
	var backends []string
	for _, backend := range []string{facts.BackendNFT, facts.BackendLegacy} {
		if slices.ContainsFunc(r.Families, func(family string) bool { return baseChain(tables, backend, family, r) != nil }) {
			backends = append(backends, backend)
		}
	}
	if r.Own != nil && (len(backends) == 0 || proxyUsesNFTables(tables)) {
		return []RuleSite{{Own: true}}, nil
	}
	if len(backends) == 0 {
		return nil, fmt.Errorf("iptables has no chain %s of table %s here: nothing of it drops, and an accept elsewhere would not help", r.Base, r.Table)
	}
	backend := backends[0]
	if len(backends) > 1 {
		backend = r.choose(tables)
	}
	var sites []RuleSite
	for _, family := range r.Families {
		if baseChain(tables, backend, family, r) != nil {
			sites = append(sites, RuleSite{Backend: backend, Family: family})
		}
	}
	return sites, nil
}

func (r RuleSpec) choose(tables []facts.Table) string {
	drops := func(backend string) bool {
		return slices.ContainsFunc(r.Families, func(family string) bool {
			c := baseChain(tables, backend, family, r)
			return c != nil && c.Policy == "drop"
		})
	}
	if nft, legacy := drops(facts.BackendNFT), drops(facts.BackendLegacy); nft != legacy {
		if nft {
			return facts.BackendNFT
		}
		return facts.BackendLegacy
	}
	for _, hint := range backendHints() {
		for i := range tables {
			if tables[i].IPTables() && tables[i].Chain(hint) != nil {
				return tables[i].Backend
			}
		}
	}
	return facts.BackendNFT
}

func proxyUsesNFTables(tables []facts.Table) bool {
	return findTable(tables, facts.BackendNFT, "ip", "kube-proxy") != nil || findTable(tables, facts.BackendNFT, "ip6", "kube-proxy") != nil
}

func baseChain(tables []facts.Table, backend, family string, r RuleSpec) *facts.Chain {
	t := findTable(tables, backend, family, r.Table)
	if t == nil {
		return nil
	}
	return t.Chain(r.Base)
}

func findTable(tables []facts.Table, backend, family, name string) *facts.Table {
	for i := range tables {
		if t := &tables[i]; t.Backend == backend && t.Family == family && t.Name == name {
			return t
		}
	}
	return nil
}
