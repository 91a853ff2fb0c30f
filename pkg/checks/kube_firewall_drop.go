package checks

import (
	"fmt"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// KubeFirewallDrop finds packets that die in the chain KUBE-FIREWALL.
var KubeFirewallDrop = &check.Check{
	Name:  "kube-firewall-drop",
	Title: "The chain KUBE-FIREWALL drops marked packets",
	Since: "v0.1.0",
	Doc: markdown(`
kubelet makes the chain KUBE-FIREWALL. One of its rules drops packets from elsewhere to 127.0.0.0/8, which is right. Older kubelets had another one,
which drops what carries the mark 0x8000; an older kube-proxy set that mark for Services without endpoints, and other programs may do so.

**What breaks.** Marked packets vanish without an answer: a connection to a Service without endpoints hangs instead of being refused, and if the mark
is a leftover or somebody else's, packets die that nobody meant to drop.

**How it is seen.** ~iptables -t filter -L KUBE-FIREWALL -v -n~ shows the counter of the rule with ~0x8000/0x8000~ rise.

**Why.** kubelet before 1.28 writes it (~syncIPTablesRules~, KEP-3178); the mark comes from the chain KUBE-MARK-DROP. Since 1.28 neither exists; what is
left on a node that was upgraded without a reboot is nobody's.

**Fix.** Find what sets the mark (~iptables-save | grep 0x8000~, ~nft list ruleset | grep 0x8000~). On a node whose kubelet is newer than 1.27 the rule may
be deleted, and comes back with a downgrade.

**When it is no fault.** The rule for 127.0.0.0/8 counts: that is what it is for. No window, so nothing is known to rise. It is never more than worth
knowing, because the drop is mostly meant.
`),
	Needs:    []facts.Kind{facts.KindNFTables},
	Wants:    []facts.Kind{facts.KindLegacy},
	Window:   check.NeedsWindow,
	Severity: check.Info,
	Run:      runKubeFirewallDrop,
}

func runKubeFirewallDrop(s *facts.Snapshot) (out []check.Finding) {
	for i := range s.Host.Tables {
		t := &s.Host.Tables[i]
		chain := t.Chain("KUBE-FIREWALL")
		if !t.IPTables() || chain == nil {
			continue
		}
		for _, r := range chain.Rules {
			if r.Verdict != "drop" || r.Mark != "0x8000/0x8000" || r.DeltaPackets == nil || *r.DeltaPackets == 0 {
				continue
			}
			program := map[string]string{"ip": "iptables", "ip6": "ip6tables"}[t.Family] + "-" + t.Backend
			out = append(out, check.Finding{
				Severity: check.Info, On: facts.Ref{NetNS: s.Host.Inode, Name: t.Family + " KUBE-FIREWALL"},
				Message:  fmt.Sprintf("%d packets with mark 0x8000 were dropped %s", *r.DeltaPackets, during(s)),
				Evidence: []check.Evidence{{Fact: program + " filter KUBE-FIREWALL, mark 0x8000/0x8000", Got: risen(s, *r.DeltaPackets), Want: "+0"}},
				Fixes: []fix.Fix{{
					Title: "find out who sets the mark",
					Advice: []string{
						fix.Shell(&s.Host, program+"-save") + " | grep 0x8000",
						"kubectl get endpointslices -A  # Services without endpoints, if kubelet is older than 1.28",
					},
				}},
			})
			break
		}
	}
	return out
}
