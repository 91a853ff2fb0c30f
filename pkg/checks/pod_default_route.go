package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// PodDefaultRoute finds pods whose packets for others go nowhere.
var PodDefaultRoute = &check.Check{
	Name:  "pod-default-route",
	Title: "A pod has no way out: no default route, or a gateway that nobody answers for",
	Since: "v0.1.0",
	Doc: markdown(`
Everything that a pod sends beyond its own network goes to the gateway of its default route. On a bridge the gateway is the node's address there; without a bridge the node answers for a
gateway that does not exist, or the pod holds a fixed neighbour entry for it.

**How it is seen.** The pod starts, and reaches nothing but perhaps pods of the same node. ~ip route~ in the pod shows no default route, or ~ip neigh~ shows its gateway ~FAILED~.

**What is judged**

- The CNI's result has a default route and the pod has none of that family: a later plugin or a sysctl took it away. Critical. Only the CNI plugin sees the result.
- The pod is on the bridge of the CNI, whose configuration gives that bridge the gateway's address, and the gateway of the pod's default route is no address of the node. Critical.
- The pod was made by calico or the ptp plugin, its link is not on a bridge, its gateway is no address of the node, ~proxy_arp~ is 0 on the node's end, and the pod has no permanent neighbour entry for it: nobody answers. Critical. This
  is judged for IPv4, while the pod is made.

**Fix.** By hand: give the bridge the address again, or delete the bridge where it is empty, so that the next pod makes it anew; let the pod be made again. There is nothing to undo.

**Cost.** The pod is made again; pods that run on the bridge are served at once.

**When it is no fault.** A network without a gateway on purpose (~isGateway~ false, an isolated second network), a gateway beyond the bridge (a router on the LAN that the
uplink is a port of), links that are no veth (macvlan, ipvlan, SR-IOV, host-device): their gateway is on the network outside. Networks that answer by a
BPF program (Cilium) are not judged by ~proxy_arp~.
`),
	Needs:    []facts.Kind{facts.KindPods, facts.KindPodLinks, facts.KindAddresses, facts.KindRoutes},
	Wants:    []facts.Kind{facts.KindCNIConfig, facts.KindSysctls},
	Pods:     true,
	Severity: check.Critical,
	Run: func(s *facts.Snapshot) []check.Finding {
		var out []check.Finding
		for _, p := range readablePods(s, facts.KindPodLinks, facts.KindAddresses, facts.KindRoutes) {
			for _, v4 := range [...]bool{true, false} {
				if f, found := podWayOut(s, p, v4); found {
					out = append(out, f)
				}
			}
		}
		return out
	},
}

func podWayOut(s *facts.Snapshot, p *facts.Namespace, v4 bool) (check.Finding, bool) {
	r := defaultRoute(p, v4)
	if r == nil {
		return noWayOut(p, v4)
	}
	gateway := r.Gateway
	l := p.Link(r.Link)
	end := nodeEnd(s, p, r.Link)
	if l == nil || end == nil || !gateway.IsValid() || nodeHolds(&s.Host, gateway) {
		return check.Finding{}, false
	}
	f := check.Finding{
		Severity: check.Critical,
		On:       p.Ref(l),
		Evidence: []check.Evidence{{Fact: "default route of the pod", Got: fmt.Sprintf("via %s dev %s", gateway, l.Name)}},
	}
	if bridge := s.Host.Link(end.Master); bridge != nil {
		plugin := mainPlugin(running(s.CNI))
		if bridge.Kind != "bridge" || plugin.Bridge != bridge.Name || !plugin.Gateway || gateway.Is4() != v4 || mayBeARouter(s, p, bridge, gateway) {
			return f, false
		}
		f.Message = fmt.Sprintf("the pod's gateway %s is not an address of %s, nor of any other link of the node", gateway, bridge.Name)
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "address of " + bridge.Name, Got: addressesOf(&s.Host, bridge.Index), Want: gateway.String()})
		f.Fixes = []fix.Fix{{
			Title: "give " + bridge.Name + " the gateway's address",
			Advice: []string{
				fix.Shell(&s.Host, "ip", "addr", "add", prefixFor(p, l, gateway).String(), "dev", bridge.Name) + "  # undo: ip addr del",
				fix.Shell(&s.Host, "ip", "-br", "addr", "show", "dev", bridge.Name) + "  # what it has instead",
			},
		}}
		return f, true
	}
	if !v4 || p.Result == nil || end.Master != 0 || !s.Has(facts.KindSysctls) || !slices.Contains([]string{"calico", "ptp"}, mainPlugin(running(s.CNI)).Type) {
		return f, false
	}
	if _, unread := p.Missing[facts.KindNeighbours]; unread || answers(s, p, end, gateway) {
		return f, false
	}
	key := "net/ipv4/conf/" + end.Name + "/proxy_arp"
	f.Message = fmt.Sprintf("nobody answers for the pod's gateway %s: the node does not have it, and proxy_arp of %s is 0", gateway, end.Name)
	f.Evidence = append(f.Evidence, check.Evidence{Fact: dotted(key), Got: "0", Want: "1, or a permanent neighbour entry in the pod"})
	f.Fixes = []fix.Fix{{Title: "let the node answer for the gateway", Advice: []string{fix.Shell(&s.Host, "sysctl", "-w", key+"=1") + "  # undo: 0"}}}
	return f, true
}

// mayBeARouter says whether the gateway may be a machine beyond the bridge: the bridge itself is in the gateway's network, and the result does not name this
// gateway as the one that the bridge gets.
func mayBeARouter(s *facts.Snapshot, p *facts.Namespace, bridge *facts.Link, gateway netip.Addr) bool {
	if p.Result != nil && slices.ContainsFunc(p.Result.Addresses, func(a facts.ResultAddress) bool { return a.Gateway == gateway }) {
		return false
	}
	return slices.ContainsFunc(s.Host.Addresses, func(a facts.Address) bool { return a.Link == bridge.Index && a.Prefix.Contains(gateway) })
}

// noWayOut judges a pod without a default route by what its result says.
func noWayOut(p *facts.Namespace, v4 bool) (check.Finding, bool) {
	if p.Result == nil || !p.Result.DefaultRoute(v4) || len(p.Result.Links) == 0 {
		return check.Finding{}, false
	}
	l := p.LinkNamed(p.Result.Links[0])
	if l == nil || !v4 && p.Sysctls["net/ipv6/conf/"+l.Name+"/disable_ipv6"] == "1" { // ipv6-pod says that
		return check.Finding{}, false
	}
	family := "IPv4"
	if !v4 {
		family = "IPv6"
	}
	return check.Finding{
		Severity: check.Critical,
		On:       p.Ref(l),
		Message:  fmt.Sprintf("the pod has no default route of %s, though its CNI result has one", family),
		Evidence: []check.Evidence{{Fact: "default route of the pod", Got: "none", Want: "one by " + l.Name}},
		Fixes: []fix.Fix{{
			Title:  "find the plugin that takes the route away",
			Advice: []string{"ls /etc/cni/net.d  # the plugins behind the one that makes the link; then delete the pod"},
		}},
	}, true
}

// answers says whether the gateway of a routed pod is answered for, or need not be.
func answers(s *facts.Snapshot, p *facts.Namespace, end *facts.Link, gateway netip.Addr) bool {
	v, known := s.Host.Sysctls["net/ipv4/conf/"+end.Name+"/proxy_arp"]
	if !known || v != "0" {
		return true
	}
	return slices.ContainsFunc(p.Neighbours, func(n facts.Neighbour) bool { return n.IP == gateway && (n.State == "permanent" || n.State == "noarp") })
}

func nodeHolds(ns *facts.Namespace, a netip.Addr) bool {
	return slices.ContainsFunc(ns.Addresses, func(own facts.Address) bool { return own.Prefix.Addr() == a })
}

// addressesOf lists a link's addresses for people.
func addressesOf(ns *facts.Namespace, link int) string {
	text := ""
	for _, a := range ns.Addresses {
		if a.Link == link {
			text += " " + a.Prefix.String()
		}
	}
	if text == "" {
		return "none"
	}
	return text[1:]
}

// prefixFor gives the gateway the length of the pod's network.
func prefixFor(p *facts.Namespace, l *facts.Link, gateway netip.Addr) netip.Prefix {
	for _, a := range p.Addresses {
		if a.Link == l.Index && a.Prefix.Contains(gateway) {
			return netip.PrefixFrom(gateway, a.Prefix.Bits())
		}
	}
	return netip.PrefixFrom(gateway, gateway.BitLen())
}
