package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// ProxyModeLeftover finds what kube-proxy has left behind in a mode in which it no longer runs.
var ProxyModeLeftover = &check.Check{
	Name:  "proxy-mode-leftover",
	Title: "Rules of a mode that kube-proxy no longer runs in",
	Since: "v0.1.0",
	Doc: markdown(`
kube-proxy writes its rules in one of three modes: iptables, nftables or ipvs. When the mode is changed, the rules of the old one can stay.
Between iptables and ipvs kube-proxy removes nothing, since it counts both as based on iptables; between those and nftables it does
(cmd/kube-proxy, ~platformCleanup~), but only in the iptables backend of its own image, and only if that version knows the old mode. With its
replacement by Cilium or kube-router nobody removes anything.

**What breaks.** Rules that nobody updates name pods that are gone. Whether packets reach them depends on the order in the kernel:

- Services' rules of iptables and of nftables are at the same hooks with the same priority, and there the chains that were registered **later**
  come first; what the first has translated the second leaves alone (~nf_nat_inet_fn~; tried on 6.18). An nftables table that was left over is
  mostly the later one, so it wins: a part of the connections goes nowhere, more with every pod that is replaced. Critical. Left-over iptables
  rules are the earlier ones: they serve what the new mode does not know, such as the address and node port of a deleted Service. A warning.
- IPVS comes last, at the way into the node (~ip_vs_remote_request4~, hook LOCAL_IN). Left-over nftables rules are ahead of it: critical. The
  other way round IPVS gets only what the current rules did not translate, but the virtual IPs stay on kube-ipvs0 and are therefore local: an
  address that now belongs to somebody else is answered by this node. A warning.
- Chains that no base chain leads to only take up space, and mislead the next program that looks. A warning.

**How it is seen.** Some Services fail for a part of the connections after the change of mode, on nodes that were not rebooted. ~curl
127.0.0.1:10249/proxyMode~ says one mode, and ~iptables-save~, ~nft list tables~ or ~ip addr show kube-ipvs0~ show another.

**Fix.** By hand: drain the node, then reboot it. Or run ~kube-proxy --cleanup~ once, which removes the rules of **all** modes, and start
kube-proxy again. There is no undo but kube-proxy itself, which writes the current mode's rules when it starts. Cost: connections to Services on
the node are cut.

**When it is no fault.** kubelet's own chains (KUBE-FIREWALL, KUBE-KUBELET-CANARY, KUBE-IPTABLES-HINT), KUBE-POSTROUTING and KUBE-MARK-MASQ,
which ipvs mode needs too; IPVS servers of others (keepalived) where there is no kube-ipvs0; kube-ipvs0 without addresses. Rules in both
iptables backends are told by iptables-backend-mixed.
`),
	Needs:    []facts.Kind{facts.KindProxy},
	Wants:    []facts.Kind{facts.KindNFTables, facts.KindLegacy, facts.KindIPVS, facts.KindLinks, facts.KindAddresses, facts.KindAgents},
	Severity: check.Critical,
	NotApplicable: func(s *facts.Snapshot) string {
		if s.Proxy == nil || s.Proxy.Mode == "" && s.Proxy.Replaced == "" {
			return "nothing of kube-proxy was found on this node"
		}
		return ""
	},
	Run: runProxyModeLeftover,
}

// leftover is what one mode has left behind.
type leftover struct {
	mode     string
	first    bool // packets meet it ahead of what carries Services now
	evidence []check.Evidence
}

func runProxyModeLeftover(s *facts.Snapshot) []check.Finding {
	if s.Proxy == nil {
		return nil
	}
	mode, who := s.Proxy.Mode, "kube-proxy runs in "+s.Proxy.Mode+" mode"
	if s.Proxy.Replaced != "" {
		if !s.Has(facts.KindAgents) || len(s.Agents) == 0 || agentAge(s, "kube-proxy") != nil || s.Proxy.Age > 0 {
			return nil // both run, or a container without the node's processes does not show it: who carries what is not known here
		}
		mode, who = "", s.Proxy.Replaced+" has replaced kube-proxy"
	} else if mode == "" {
		return nil
	}
	var out []check.Finding
	for _, l := range []*leftover{iptablesLeft(s), nftablesLeft(s), ipvsLeft(s)} {
		if l == nil || l.mode == mode {
			continue
		}
		f := check.Finding{
			Severity: check.Warning,
			On:       facts.Ref{NetNS: s.Host.Inode, Name: "kube-proxy " + l.mode},
			Message:  fmt.Sprintf("%s, and rules of %s mode are still there", who, l.mode),
			Evidence: append([]check.Evidence{{Fact: "carries Services", Got: who + sourceOf(s)}}, l.evidence...),
			Fixes:    []fix.Fix{cleanUp(s)},
		}
		if l.first {
			f.Severity = check.Critical
			f.Message = fmt.Sprintf("%s, and rules of %s mode that nobody updates come first", who, l.mode)
		}
		out = append(out, f)
	}
	return out
}

func sourceOf(s *facts.Snapshot) string {
	if s.Proxy.Source == "" {
		return ""
	}
	return ", by " + s.Proxy.Source
}

// iptablesLeft looks for Services' chains of iptables mode. In ipvs mode kube-proxy has emptied the chain that led to them (both write KUBE-SERVICES anew by
// iptables-restore); kube-router, which is IPVS too, does not.
func iptablesLeft(s *facts.Snapshot) *leftover {
	l := leftover{mode: facts.ModeIPTables}
	for i := range s.Host.Tables {
		t := &s.Host.Tables[i]
		n := t.Bulk["KUBE-SVC-"]
		if !t.IPTables() || t.Name != "nat" || n == 0 {
			continue
		}
		where := baseChain{t, &facts.Chain{Name: "KUBE-SVC-*"}}.name()
		l.evidence = append(l.evidence, check.Evidence{Fact: where, Got: fmt.Sprintf("%d chains", n), Want: "none"})
		if from := jumpsToServices(t); from != "" && s.Proxy.Mode != facts.ModeIPVS {
			l.first = l.first || s.Proxy.Replaced == "kube-router"
			l.evidence = append(l.evidence, check.Evidence{Fact: where, Got: "reached from " + from})
		}
	}
	if len(l.evidence) == 0 {
		return nil
	}
	return &l
}

// jumpsToServices names the base chain that leads to kube-proxy's chain of Services; empty where none does.
func jumpsToServices(t *facts.Table) string {
	for _, c := range t.Chains {
		if c.Hook != "" && slices.ContainsFunc(c.Rules, func(r facts.FilterRule) bool { return r.Target == "KUBE-SERVICES" }) {
			return c.Name
		}
	}
	return ""
}

func nftablesLeft(s *facts.Snapshot) *leftover {
	l := leftover{mode: facts.ModeNFTables}
	for _, family := range []string{"ip", "ip6"} {
		t := s.Host.Table(facts.BackendNFT, family, "kube-proxy")
		if t == nil {
			continue
		}
		e := check.Evidence{Fact: "nft table " + family + " kube-proxy", Got: fmt.Sprintf("%d base chains", hooked(t)), Want: "absent"}
		if slices.Contains(t.Maps, "service-ips") && hooked(t) > 0 {
			l.first = s.Proxy.Replaced == "" || s.Proxy.Replaced == "kube-router" // Cilium's programs translate ahead of any hook
			e.Got += ", which translate by the map service-ips"
		}
		l.evidence = append(l.evidence, e)
	}
	if len(l.evidence) == 0 {
		return nil
	}
	return &l
}

func hooked(t *facts.Table) (n int) {
	for _, c := range t.Chains {
		if c.Hook != "" {
			n++
		}
	}
	return n
}

func ipvsLeft(s *facts.Snapshot) *leftover {
	dummy := s.Host.LinkNamed("kube-ipvs0")
	if dummy == nil {
		return nil
	}
	addrs, servers := map[string]bool{}, 0
	for _, a := range s.Host.Addresses {
		if a.Link == dummy.Index && a.Scope != "link" {
			addrs[a.Prefix.Addr().String()] = true
		}
	}
	if s.Host.IPVS != nil {
		for _, v := range s.Host.IPVS.Servers {
			if addrs[v.VIP.String()] {
				servers++
			}
		}
	}
	if len(addrs) == 0 {
		return nil
	}
	return &leftover{mode: facts.ModeIPVS, evidence: []check.Evidence{
		{Fact: "addresses of kube-ipvs0", Got: fmt.Sprint(len(addrs)), Want: "0"},
		{Fact: "IPVS servers at them", Got: fmt.Sprint(servers)},
	}}
}

func cleanUp(s *facts.Snapshot) fix.Fix {
	f := fix.Fix{
		Title: "remove the rules of the old mode",
		Cost:  "connections to Services through this node are cut",
		Advice: []string{
			drain(s),
			"systemctl reboot  # nobody writes the old rules again",
			"or, on a node that cannot be rebooted: run kube-proxy --cleanup as root in its network namespace, then restart the kube-proxy pod",
			fix.Shell(nil, "kubectl", "uncordon", nodeName(s)),
		},
	}
	if strings.Contains(s.Proxy.Replaced, "cilium") {
		f.Advice = append(f.Advice, "kubectl -n kube-system get daemonset kube-proxy  # if it still exists, delete it first")
	}
	return f
}
