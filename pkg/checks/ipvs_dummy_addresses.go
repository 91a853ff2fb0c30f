package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/services"
)

// IPVSDummyAddresses finds addresses on kube-ipvs0 that belong to somebody else, that no Service has, or that are missing.
var IPVSDummyAddresses = &check.Check{
	Name:  "ipvs-dummy-addresses",
	Title: "The link kube-ipvs0 has an address that is not a Service's, or lacks one that is",
	Since: "v0.1.0",
	Doc: markdown(`
In IPVS mode every virtual IP is an address of the dummy link kube-ipvs0: only what is local comes to the hook where IPVS waits. Whatever is on that
link, the node takes for itself.

**What breaks.**

- An address of kube-ipvs0 that is also another link's, the node's way out, or another node's: packets to it end on this node. As an external or
  load-balancer IP of a Service it makes this node deaf to that machine. Critical.
- A ClusterIP that is missing: packets to it leave by the default route, though the virtual server is there. Critical.
- An address that no Service has any more: the machine or Service that has it today cannot be reached from here. A warning.

**How it is seen.** ~ip addr show kube-ipvs0~, ~ip route get ADDRESS~ says ~local~. The node loses its gateway or another node right after a Service with
~externalIPs~ was made.

**Why.** kube-proxy binds ClusterIPs, external and load-balancer IPs there, but not those that another link has at that time (~nodeAddressSet~ of
pkg/proxy/ipvs/proxier.go). An address that the other link gets later is on both; a machine elsewhere is unknown to kube-proxy.

**Fix.** Give the Service another external IP; kube-proxy then takes the address away. What is missing or left over it puts right with its next
sync, so if it is still so after a minute, look at its log, or restart it.

**When it is no fault.** The other link is a dummy or the loopback too: such addresses are meant to be local (NodeLocal DNSCache). What is missing or left
over can only be told where the cluster's Services are known. The mode is not IPVS.
`),
	Needs:         []facts.Kind{facts.KindLinks, facts.KindAddresses, facts.KindProxy},
	Wants:         []facts.Kind{facts.KindRoutes, facts.KindServices, facts.KindAgents},
	Severity:      check.Critical,
	Settle:        time.Minute,
	NotApplicable: notIPVS,
	Run:           runIPVSDummyAddresses,
}

func runIPVSDummyAddresses(s *facts.Snapshot) []check.Finding {
	dummy := s.Host.LinkNamed(services.DummyLink)
	if dummy == nil {
		return nil
	}
	on := s.Host.Ref(dummy)
	var held []netip.Addr
	for _, a := range s.Host.Addresses {
		if a.Link == dummy.Index && !a.Prefix.Addr().IsLinkLocalUnicast() {
			held = append(held, a.Prefix.Addr().Unmap())
		}
	}
	var out []check.Finding
	for _, a := range held {
		if whose := elsewhere(s, dummy, a); whose != "" {
			out = append(out, check.Finding{
				Severity: check.Critical, On: on, Message: fmt.Sprintf("%s is an address of kube-ipvs0 and %s: packets to it end on this node", a, whose),
				Evidence: []check.Evidence{{Fact: a.String(), Got: "on kube-ipvs0, and " + whose, Want: "in one place"}}, Fixes: []fix.Fix{otherAddress(s, a)},
			})
		}
	}
	if !s.Has(facts.KindServices) || s.Intent.Cluster == nil || tooOld(s.Intent.Cluster) != "" || syncing(s) != "" {
		return out
	}
	return append(out, dummyByTruth(s, on, held)...)
}

// elsewhere says who else has an address of kube-ipvs0; empty for nobody.
func elsewhere(s *facts.Snapshot, dummy *facts.Link, a netip.Addr) string {
	for _, b := range s.Host.Addresses {
		l := s.Host.Link(b.Link)
		if l != nil && l.Index != dummy.Index && l.Kind != "dummy" && !l.Loopback && b.Prefix.Addr().Unmap() == a {
			return "of " + l.Name
		}
	}
	for _, r := range s.Host.Routes {
		if r.Gateway == a || slices.ContainsFunc(r.NextHops, func(h facts.NextHop) bool { return h.Gateway == a }) {
			return "the gateway to " + r.Dst.String()
		}
	}
	return ""
}

// dummyByTruth compares kube-ipvs0 with the addresses of all Services. Those that another link has need not be on it.
func dummyByTruth(s *facts.Snapshot, on facts.Ref, held []netip.Addr) []check.Finding {
	wanted := map[netip.Addr]string{}
	for _, p := range services.Want(s.Intent.Cluster, services.OptionsOf(s)).Rules.Paths {
		if p.VIP.IsValid() && p.Kind != facts.FrontNodePort {
			wanted[p.VIP] = p.Name
		}
	}
	var missing, left []string
	for _, a := range held {
		if wanted[a] == "" && !justChanged(s, "") {
			left = append(left, a.String())
		}
	}
	local := func(a netip.Addr) bool {
		return slices.ContainsFunc(s.Host.Addresses, func(b facts.Address) bool { return b.Prefix.Addr().Unmap() == a })
	}
	families := 0
	if s.ServiceRules != nil {
		families = len(s.ServiceRules.Families)
	}
	for a, name := range wanted {
		service, _, _ := strings.Cut(name, ":")
		if !local(a) && !justChanged(s, service) && (families != 1 || slices.Contains(s.ServiceRules.Families, map[bool]int{true: 4, false: 6}[a.Is4()])) {
			missing = append(missing, name+" at "+a.String())
		}
	}
	var out []check.Finding
	if len(missing) > 0 {
		slices.Sort(missing)
		out = append(out, check.Finding{
			ByTruth: true, Severity: check.Critical, On: on, Message: "kube-ipvs0 lacks the address of " + someNames(missing) + ": packets to it leave this node",
			Evidence: []check.Evidence{{Fact: "virtual IPs that are not on kube-ipvs0", Got: fmt.Sprint(len(missing)), Want: "0"}, truthEvidence(s)}, Fixes: []fix.Fix{syncKubeProxy(s)},
		})
	}
	if len(left) > 0 {
		slices.Sort(left)
		out = append(out, check.Finding{
			ByTruth: true, Severity: check.Warning, On: on, Message: "kube-ipvs0 has " + someNames(left) + ", which no Service has: who has it today cannot be reached from this node",
			Evidence: []check.Evidence{{Fact: "addresses of kube-ipvs0 without a Service", Got: fmt.Sprint(len(left)), Want: "0"}, truthEvidence(s)}, Fixes: []fix.Fix{syncKubeProxy(s)},
		})
	}
	return out
}

func otherAddress(s *facts.Snapshot, a netip.Addr) fix.Fix {
	return fix.Fix{
		Title: "give the Service another address",
		Cost:  "clients that use the old one have to be told",
		Advice: []string{
			"kubectl get services -A -o wide | grep -w " + a.String() + "  # whose it is",
			"kubectl -n NAMESPACE edit service NAME  # externalIPs, or loadBalancerIP of what gives the address",
			fix.Shell(&s.Host, "ip", "addr", "del", netip.PrefixFrom(a, a.BitLen()).String(), "dev", services.DummyLink) + "  # at once, until kube-proxy's next sync",
		},
	}
}
