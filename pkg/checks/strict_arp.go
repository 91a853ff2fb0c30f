package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/services"
)

// StrictARP finds nodes that answer ARP for Services' addresses that another node announces.
var StrictARP = &check.Check{
	Name:  "strict-arp",
	Title: "The node answers ARP for Services' addresses on kube-ipvs0",
	Since: "v0.1.0",
	Doc: markdown(`
In IPVS mode every node has every load-balancer and external IP on kube-ipvs0. Linux answers ARP for an address that is on any of its links. So where
such an address is of the nodes' own network, all nodes answer for it, and not only the one that MetalLB, kube-vip or keepalived chose.

**What breaks.** The router or client takes whichever answer came last. Connections move between nodes, and break where that changes; with
~externalTrafficPolicy: Local~ they get to nodes without a backend.

**How it is seen.** ~arping -I eth0 ADDRESS~ from a machine of that network gets answers from several hardware addresses.

**Why.** ~arp_ignore~ 0 means an answer for every local address, 1 for those of the link that was asked; ~arp_announce~ 2 has the node ask with an
address of that link, so that it does not announce others (Documentation/networking/ip-sysctl.rst). The higher of ~conf.all~ and the link's value
counts.

**Fix.** ~ipvs.strictARP: true~ in KubeProxyConfiguration and a restart of kube-proxy, which then sets ~conf.all.arp_ignore~ 1 and
~conf.all.arp_announce~ 2 (~NewProxier~ of pkg/proxy/ipvs/proxier.go). The undo is the old configuration, and 0 for both.

**When it is no fault.** No address of kube-ipvs0 is within the network of a link of the node: ClusterIPs are not, so a cluster without load-balancer
IPs of its own network needs no strict ARP. IPv6 has no such setting; there kube-ipvs0 does not take part in neighbour discovery of other links.
The mode is not IPVS.
`),
	Needs:         []facts.Kind{facts.KindLinks, facts.KindAddresses, facts.KindSysctls, facts.KindProxy},
	Wants:         []facts.Kind{facts.KindAgents},
	Severity:      check.Warning,
	NotApplicable: notIPVS,
	Run:           runStrictARP,
}

func runStrictARP(s *facts.Snapshot) (out []check.Finding) {
	dummy := s.Host.LinkNamed(services.DummyLink)
	if dummy == nil {
		return nil
	}
	for i := range s.Host.Links {
		l := &s.Host.Links[i]
		if l.Index == dummy.Index || l.Loopback || !l.Up {
			continue
		}
		shared := sharedNetwork(&s.Host, dummy, l)
		ignore, known := higher(&s.Host, l, "arp_ignore")
		if len(shared) == 0 || !known || ignore != "0" {
			continue
		}
		announce, _ := higher(&s.Host, l, "arp_announce")
		out = append(out, check.Finding{
			Severity: check.Warning, On: s.Host.Ref(l),
			Message: fmt.Sprintf("this node answers ARP on %s for %s of kube-ipvs0, as every node does", l.Name, someNames(shared)),
			Evidence: []check.Evidence{
				{Fact: "arp_ignore of " + l.Name, Got: ignore, Want: "1"}, {Fact: "arp_announce of " + l.Name, Got: announce, Want: "2"},
				{Fact: "addresses of kube-ipvs0 in a network of " + l.Name, Got: someNames(shared), Want: "none, or strict ARP"},
			},
			Fixes: []fix.Fix{{
				Title: "have kube-proxy set strict ARP",
				Cost:  "ARP for an address of another link of the node goes without answer, which a network with several links into one segment may rely on",
				Advice: []string{
					"kubectl -n kube-system edit configmap kube-proxy  # ipvs.strictARP: true",
					"kubectl -n kube-system rollout restart daemonset kube-proxy",
				},
			}},
		})
	}
	return out
}

// sharedNetwork lists the IPv4 addresses of kube-ipvs0 that are in a network of another link.
func sharedNetwork(n *facts.Namespace, dummy, l *facts.Link) (out []string) {
	for _, a := range n.Addresses {
		ip := a.Prefix.Addr()
		if a.Link != dummy.Index || !ip.Is4() {
			continue
		}
		in := func(b facts.Address) bool {
			return b.Link == l.Index && b.Prefix.Addr().Is4() && b.Prefix.Bits() < 31 && b.Prefix != (netip.Prefix{}) && b.Prefix.Contains(ip) && b.Prefix.Addr() != ip
		}
		if slices.ContainsFunc(n.Addresses, in) {
			out = append(out, ip.String())
		}
	}
	slices.Sort(out)
	return out
}

// higher is the value of a setting that counts for a link: the higher of all's and its own.
func higher(n *facts.Namespace, l *facts.Link, name string) (string, bool) {
	all, known := n.Sysctls["net/ipv4/conf/all/"+name]
	own, both := n.Sysctls["net/ipv4/conf/"+l.Name+"/"+name]
	if !known || !both {
		return "", false
	}
	return max(all, own), true // one digit each
}
