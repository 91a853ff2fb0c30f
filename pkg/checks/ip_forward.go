package checks

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

const (
	sysctlIPForward  = "net/ipv4/ip_forward"
	sysctlIP6Forward = "net/ipv6/conf/all/forwarding"
)

// IPForward finds a node, or a link of the pod network, that does not forward.
var IPForward = &check.Check{
	Name:  "ip-forward",
	Title: "The node or a link of its pod network does not forward packets",
	Since: "v0.1.0",
	Doc: markdown(`
A node is the router of its pods. With ~net.ipv4.ip_forward = 0~ the kernel takes packets that are for the node itself and drops all others: no
pod reaches another node, a Service or the internet. Pods on one bridge still reach each other, which hides the fault.

**How it is seen.** ~ping~ from a pod to the node's own address works, to anything else it does not; nothing is logged; ~ForwDatagrams~ in
~/proc/net/snmp~ stands still. Usual causes are a hardening script, a ~sysctl.d~ file applied again after the CNI plugin or kube-proxy had set
the value, and ~systemd-networkd~ with ~IPForward=no~. kubeadm refuses to join a node with 0.

**Why.** IPv4 asks the link on which a packet **comes in** (~IN_DEV_FORWARD~ in ip_route_input_slow, net/ipv4/route.c); the link it would leave
by does not matter. So with ~ip_forward = 1~ a single ~net.ipv4.conf.cni0.forwarding = 0~ still cuts off all pods behind cni0, and 0 on the
uplink loses every answer from outside; on a port of a bridge it has no effect. Tried on Linux 6.18: writing 1 over 1 repairs no link, writing 1
over 0 sets every link (inet_forward_change, net/ipv4/devinet.c). IPv6 asks ~conf.all.forwarding~ alone (ip6_forward, net/ipv6/ip6_output.c), or
since 6.17 ~force_forwarding~ of the incoming link.

**Fix.** Write 1 to ~ip_forward~, or to ~forwarding~ of the one link. Undo writes 0. Forwarding of the node switches LRO off on all links and
sets ~conf.all.accept_redirects~ to 0; after the undo that is 1 again, the default of a host, whatever it was before.

**Cost.** The node becomes a router: what its firewall says about FORWARD now counts. IPv6 is never changed unasked: with forwarding on, the
kernel ignores router advertisements unless ~accept_ra~ is 2, and would lose the default route it learned from one, so the fix sets that first.

**When it is no fault.** A host without kubelet and without a pod network is not judged, nor is IPv4 where pods are known to have only IPv6.
~ip_forward = 0~ is fine where every incoming link has ~forwarding = 1~ of its own. Cilium forwards in BPF programs: its links are not judged,
and the node's value is a warning.
`),
	Needs:         []facts.Kind{facts.KindSysctls},
	Wants:         []facts.Kind{facts.KindLinks, facts.KindPods, facts.KindCNIConfig, facts.KindAddresses, facts.KindRoutes, facts.KindSysctlFiles},
	Severity:      check.Critical,
	NotApplicable: noForwardingNode,
	Run: func(s *facts.Snapshot) []check.Finding {
		if noForwardingNode(s) != "" {
			return nil
		}
		return append(forward4(s), forward6(s)...)
	},
}

func noForwardingNode(s *facts.Snapshot) string {
	if s.Node.Kubelet || !s.Has(facts.KindLinks) || len(podSide(s)) > 0 {
		return ""
	}
	return "neither a kubelet nor a pod network: this host is nobody's router"
}

// linkForwarding is the key of a link's own value.
func linkForwarding(family, link string) string {
	return "net/" + family + "/conf/" + link + "/forwarding"
}

func forward4(s *facts.Snapshot) []check.Finding {
	if onlyIPv6(s) || len(podAddresses(s)) == 0 && !s.Has(facts.KindAddresses) { // or it cannot be told
		return nil
	}
	switch s.Host.Sysctls[sysctlIPForward] {
	case "0":
		if !anyLinkForwards(s) {
			return []check.Finding{nodeForwarding(s)}
		}
	case "1":
	default:
		return nil
	}
	if s.Host.LinkNamed("cilium_host") != nil {
		return nil
	}
	var out []check.Finding
	for _, l := range incoming(s) {
		key := linkForwarding("ipv4", l.Name)
		if s.Host.Sysctls[key] == "0" {
			out = append(out, oneLinkForwarding(s, l, key))
		}
	}
	return out
}

// anyLinkForwards tells a node on which somebody has set forwarding link by link, which a write to ip_forward would undo for good.
func anyLinkForwards(s *facts.Snapshot) bool {
	for key, v := range s.Host.Sysctls {
		ok, err := path.Match(linkForwarding("ipv4", "*"), key)
		if err == nil && ok && v != "0" && !strings.HasPrefix(key, "net/ipv4/conf/all/") && !strings.HasPrefix(key, "net/ipv4/conf/default/") {
			return true
		}
	}
	return false
}

// incoming gives the links through which packets for or from pods come in: the pod network's, and the uplink, by which answers come back.
func incoming(s *facts.Snapshot) []*facts.Link {
	links := podSide(s)
	if len(links) == 0 {
		return nil
	}
	if r := defaultRoute(&s.Host, true); r != nil {
		for _, index := range r.Egress() {
			if l := s.Host.Link(index); l != nil && !slices.Contains(links, l) {
				links = append(links, l)
			}
		}
	}
	return links
}

// defaultRoute is the main table's default route that the kernel prefers; nil where there is none.
func defaultRoute(ns *facts.Namespace, v4 bool) *facts.Route {
	var best *facts.Route
	for i := range ns.Routes {
		r := &ns.Routes[i]
		if r.Table == facts.TableMain && r.Dst.Bits() == 0 && r.Dst.Addr().Is4() == v4 && (best == nil || r.Metric < best.Metric) {
			best = r
		}
	}
	return best
}

func nodeForwarding(s *facts.Snapshot) check.Finding {
	f := check.Finding{
		Severity: check.Critical,
		On:       facts.Ref{NetNS: s.Host.Inode, Name: "net.ipv4.ip_forward"},
		Message:  "ip_forward is 0: no pod reaches anything beyond this node's own bridge",
		Evidence: append([]check.Evidence{{Fact: "net.ipv4.ip_forward", Got: "0", Want: "1"}}, setAtBoot(s, sysctlIPForward, "1")...),
	}
	if s.Host.LinkNamed("cilium_host") != nil || !s.Node.Kubelet && !podsAttached(s) {
		f.Severity = check.Warning
	}
	f.Fixes = []fix.Fix{{
		Title:   "switch IPv4 forwarding on",
		Cost:    "the node becomes a router: its FORWARD rules count, LRO goes off, conf.all.accept_redirects becomes 0 and, after an undo, 1",
		Changes: []fix.Change{{Knob: fix.Sysctl(sysctlIPForward), On: f.On, From: "0", To: "1"}},
	}}
	return f
}

// podsAttached says whether a pod's link leads to the pod network.
func podsAttached(s *facts.Snapshot) bool {
	return slices.ContainsFunc(podSide(s), func(l *facts.Link) bool { return l.Kind == "veth" || len(ports(s, l)) > 0 })
}

func oneLinkForwarding(s *facts.Snapshot, l *facts.Link, key string) check.Finding {
	name := "net.ipv4.conf." + l.Name + ".forwarding"
	f := check.Finding{
		Severity: check.Critical,
		On:       s.Host.Ref(l),
		Message:  fmt.Sprintf("%s does not forward: what pods send or receive through it is dropped", l.Name),
		Evidence: append([]check.Evidence{
			{Fact: name, Got: "0", Want: "1"}, {Fact: "net.ipv4.ip_forward", Got: s.Host.Sysctls[sysctlIPForward]},
		}, setAtBoot(s, key, "1")...),
	}
	if fix.ValidSysctl(key) {
		f.Fixes = []fix.Fix{{
			Title:   "switch forwarding of " + l.Name + " on",
			Cost:    "packets that come in on " + l.Name + " are routed, as on the node's other links; LRO goes off on it",
			Changes: []fix.Change{{Knob: fix.Sysctl(key), On: f.On, From: "0", To: "1"}},
		}}
	}
	return f
}
