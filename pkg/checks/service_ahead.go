package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/services"
)

// servicesCaught finds rules of other programs that keep connections to cluster IPs from kube-proxy's rules. Only what is certain is told: the rule asks for nothing
// but the destination, and the address, which exists in kube-proxy's rules alone, is not the node's.
func servicesCaught(s *facts.Snapshot) (out []check.Finding) {
	if !s.Has(facts.KindAddresses) || len(s.ServiceRules.Ahead) == 0 {
		return nil
	}
	w := services.Want(s.Intent.Cluster, services.OptionsOf(s))
	for i := range s.ServiceRules.Ahead {
		a := &s.ServiceRules.Ahead[i]
		if a.Unknown != "" || a.Does != facts.AheadAccepts && a.Does != facts.AheadDrops {
			continue
		}
		var names []string
		for j := range w.Rules.Paths {
			p := &w.Rules.Paths[j]
			local := slices.ContainsFunc(s.Host.Addresses, func(x facts.Address) bool { return x.Prefix.Addr().Unmap() == p.VIP })
			if p.Kind == facts.FrontCluster && len(p.Backends) > 0 && w.Doubt(j) == "" && a.Catches(p) && !local {
				names = append(names, serviceOf(p))
			}
		}
		if len(names) == 0 {
			continue
		}
		if len(out) == mostServices {
			break
		}
		slices.Sort(names)
		out = append(out, check.Finding{
			ByTruth:  true,
			Severity: check.Critical, On: facts.Ref{NetNS: s.Host.Inode, Name: a.Where},
			Message:  fmt.Sprintf("a rule of another program keeps connections from kube-proxy's rules of %s: %s", someNames(names), a.Text()),
			Evidence: append([]check.Evidence{{Fact: "a rule that packets meet first", Got: a.Text(), Want: "none that decides about a cluster IP"}, truthEvidence(s)}, proxyEvidence(s)...),
			Fixes: []fix.Fix{{
				Title:  "find out which program has written the rule, and take it away there",
				Advice: []string{fix.Shell(&s.Host, aheadList(a)...) + "  # " + a.Where},
			}},
		})
	}
	return out
}

// aheadList is the command that lists the chains that lead to the rule.
func aheadList(a *facts.AheadRule) []string {
	table, _, _ := strings.Cut(a.Where, " ")
	program := "iptables"
	if a.Family == 6 {
		program = "ip6tables"
	}
	return []string{program, "-t", table, "-L", "-n", "--line-numbers"}
}
