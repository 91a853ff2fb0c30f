package checks

import (
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// readFirewalld gives firewalld's forward chain with its first rule understood. The rule accepts established and related connections by an
// anonymous set, whose elements are no facts, so it reads as "accepts something"; but firewalld always writes it directly ahead of the one that accepts
// what DNAT has changed (firewall/core/nftables.py, build_default_rules). Everything else is as it was read.
func readFirewalld(b baseChain) baseChain {
	if b.table.Family != "inet" || b.table.Name != "firewalld" {
		return b
	}
	for i := 1; i < len(b.chain.Rules); i++ {
		dnat := b.chain.Rules[i]
		if dnat.Verdict == "accept" && slices.Equal(dnat.CTStatus, []string{"dnat"}) && acceptsSomething(&b.chain.Rules[i-1]) {
			c := *b.chain
			c.Rules = slices.Clone(c.Rules)
			c.Rules[i-1].Opaque, c.Rules[i-1].CTState = false, []string{"established", "related"}
			return baseChain{b.table, &c}
		}
	}
	return b
}

// acceptsSomething tells an accept of which no match is understood.
func acceptsSomething(r *facts.FilterRule) bool {
	return r.Opaque && r.Verdict == "accept" && r.InLink == "" && r.OutLink == "" && r.Src == "" && r.Dst == "" && r.Proto == "" && r.DPort == "" &&
		r.Mark == "" && len(r.CTState) == 0 && len(r.CTStatus) == 0
}
