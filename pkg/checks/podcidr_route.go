package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// PodCIDRRoute finds networks beside the pods' that take their packets, and a node whose pods have other addresses than the cluster sends to it.
var PodCIDRRoute = &check.Check{
	Name:  "podcidr-route",
	Title: "The pods' addresses are another network's too, or not those that the cluster gave the node",
	Since: "v0.1.0",
	Doc: markdown(`
The node sends a packet by the longest prefix of its routes that has the address. Where a network that is none of the pods' lies inside theirs (docker's
bridge, a VPN, a second NIC), its route wins, and packets to pods go there. And pods whose addresses are not those of the node's ~spec.podCIDR~ get no
answers from other nodes, which send these addresses to somebody else.

**How it is seen.** Some pods are not reached from this node, others are; ~ip route get~ of a pod's address names ~docker0~, ~tun0~ or a NIC. Or
pods of one node reach nothing on others after it was removed and joined again.

**Why.** The pods' networks are flannel's (~/run/flannel/subnet.env~), those of the bridge plugin with host-local, and for container bridges also what the
configuration of netmend says. Only routes of the main table that a packet really takes, by the node's policy rules, are judged. A route is critical where
it lies in this node's own subnet or in a route to other nodes' pods, and a warning where it lies in the cluster's network only.

~spec.podCIDR~ is known where the daemon hears the API server. Flannel with ~--kube-subnet-mgr~ takes its subnet from it; k3s always does so, and there a
difference is critical. Elsewhere flannel may have its subnets from etcd: a warning, and none where the podCIDR is not even in
flannel's network. host-local with another subnet is an info, because somebody may route it by hand. Without ~spec.podCIDR~ and without a
subnet.env flannel gives no pod an address (~node "x" pod cidr not assigned~).

**Fix.** netmend removes no route and no address. Give the other network a range outside the pods', and until then delete its route, where it is not
the node's own way out. Where the subnets differ, drain the node before its bridge is made anew.

**Cost.** Who is behind the deleted route is not reached from this node. It comes back with its link.

**When it is no fault.** A wider network (a LAN 10.0.0.0/8) loses to the pods' routes and is not judged. Routes by a gateway to other nodes' pods (host-gw, BGP, a
cloud's router), single addresses, tunnels of other pod networks, pods with addresses of the LAN (macvlan, ipvlan, cloud networks), and with Calico and Cilium, which
have ranges of their own, NICs and VPNs and ~spec.podCIDR~ are not judged. Neither are Services: their addresses are translated before the route is looked up.
`),
	Needs:    []facts.Kind{facts.KindCNIConfig, facts.KindLinks, facts.KindRoutes, facts.KindRules},
	Wants:    []facts.Kind{facts.KindAgents, facts.KindServices},
	Severity: check.Critical,
	After:    []*check.Check{CNI0WrongAddress},
	NotApplicable: func(s *facts.Snapshot) string {
		if len(running(s.CNI).Plugins) == 0 {
			return "there is no CNI configuration"
		}
		return ""
	},
	Run: func(s *facts.Snapshot) []check.Finding { return append(stolenRoutes(s), apiDiffers(s)...) },
}

// podRanges are the pods' networks, as surely as they are known.
type podRanges struct {
	own     []netip.Prefix // of this node's pods
	cluster []netip.Prefix // of all pods, by the CNI itself
	told    []netip.Prefix // of all pods, by whoever set netmend up: on clouds it may be the nodes' network too
}

func podRangesOf(s *facts.Snapshot) (n podRanges) {
	n.told = s.Intent.PodCIDRs
	switch p := mainPlugin(running(s.CNI)); {
	case flannelHere(s):
		if f := s.CNI.Flannel; f != nil {
			n.own, n.cluster = []netip.Prefix{f.Subnet, f.IPv6Subnet}, []netip.Prefix{f.Network, f.IPv6Network}
		}
	case p.Type == "bridge" && p.IPAM == "host-local" && onlyPods(s, p.Bridge):
		n.own = slices.Clone(p.Subnets)
	}
	n.own = slices.DeleteFunc(n.own, func(c netip.Prefix) bool { return !c.IsValid() || c.Bits() == 0 })
	n.cluster = slices.DeleteFunc(n.cluster, func(c netip.Prefix) bool { return !c.IsValid() || c.Bits() == 0 })
	return n
}

// flannelHere says whether pods' addresses are flannel's: its plugin is in use with a bridge, or Calico's with the subnets of flannel, as in Canal.
func flannelHere(s *facts.Snapshot) bool {
	flannel, _ := networkOf("flannel")
	p := mainPlugin(running(s.CNI))
	return p.Type == "flannel" && p.Bridge != "" || p.Type == "calico" && p.IPAM == "host-local" && flannel.agent(s) != nil
}

// onlyPods says whether a bridge is there and has no NIC as a port: one that has makes the pods neighbours of the LAN, whose addresses they then have.
func onlyPods(s *facts.Snapshot, bridge string) bool {
	b := s.Host.LinkNamed(bridge)
	return b != nil && !slices.ContainsFunc(s.Host.Links, func(l facts.Link) bool { return l.Master == b.Index && l.Kind != "veth" })
}

// stranger is what a link is that does not lead to pods.
type stranger int

const (
	unknownLink stranger = iota
	containerBridge
	vpn
	nic
)

func strangerOf(s *facts.Snapshot, l *facts.Link) stranger {
	switch {
	case l.Loopback || l.Master != 0 || cniBridge(s, l) || cniTunnel(l) || strings.HasPrefix(l.Name, "flannel"):
		return unknownLink
	case l.Kind == "bridge" && containerBridgeName(l.Name):
		return containerBridge
	case l.Kind == "tun", l.Kind == "ppp", l.Kind == "wireguard":
		return vpn
	case l.Kind == "", l.Kind == "bond", l.Kind == "team", l.Kind == "vlan":
		return nic
	}
	return unknownLink
}

// containerBridgeName tells the bridges of docker (docker0, docker_gwbridge, br- and 12 digits of the network's id), podman, libvirt, LXC and LXD.
func containerBridgeName(name string) bool {
	if id, ok := strings.CutPrefix(name, "br-"); ok {
		return len(id) == 12 && strings.Trim(id, "0123456789abcdef") == ""
	}
	return name == "docker_gwbridge" || slices.ContainsFunc([]string{"docker", "podman", "virbr", "lxcbr", "lxdbr"}, func(p string) bool {
		n, ok := strings.CutPrefix(name, p)
		return ok && n != "" && strings.Trim(n, "0123456789") == ""
	})
}

func stolenRoutes(s *facts.Snapshot) (out []check.Finding) {
	n := podRangesOf(s)
	for i := range s.Host.Routes {
		r := &s.Host.Routes[i]
		l := s.Host.Link(r.Link)
		if l == nil || r.Table != facts.TableMain || r.Type != "unicast" || !r.Dst.IsValid() || r.Dst.Bits() == 0 || r.Dst.IsSingleIP() || len(r.NextHops) > 0 {
			continue
		}
		kind := strangerOf(s, l)
		if severity, of, what := steals(s, n, r, kind); of.IsValid() && taken(&s.Host, r) {
			out = append(out, stolen(s, r, l, kind, severity, of, what))
		}
	}
	return out
}

// steals says which of the pods' networks a route would take addresses from, and how bad that is; the zero Prefix where it takes none or where that is not sure.
func steals(s *facts.Snapshot, n podRanges, r *facts.Route, kind stranger) (severity check.Severity, of netip.Prefix, what string) {
	if kind == unknownLink {
		return 0, of, ""
	}
	known := n.cluster
	if kind == containerBridge {
		known = slices.Concat(n.cluster, n.told)
	}
	byBridge := mainPlugin(running(s.CNI)).Type == "bridge"
	for _, c := range n.own {
		if covers(c, r.Dst) && (kind != nic || !byBridge || c.Bits() < r.Dst.Bits()) {
			return check.Critical, c.Masked(), "this node's pods have addresses of it"
		}
	}
	if r.Gateway.IsValid() && kind == nic { // to another node, whose pods have these addresses
		return 0, of, ""
	}
	i := slices.IndexFunc(known, func(c netip.Prefix) bool { return c.IsValid() && c.Bits() > 0 && covers(c, r.Dst) })
	if i < 0 || kind == nic && r.Protocol != "kernel" {
		return 0, of, ""
	}
	for j := range s.Host.Routes {
		q := &s.Host.Routes[j]
		if q.Dst.IsValid() && q.Dst.Bits() > 0 && q.Table == facts.TableMain && q.Type == "unicast" && covers(q.Dst, r.Dst) && toPods(s, q, known[i], r) {
			return check.Critical, q.Dst, "pods of other nodes have addresses of it"
		}
	}
	if kind == vpn { // perhaps the way to other nodes' pods
		return 0, of, ""
	}
	return check.Warning, known[i].Masked(), "pods of other nodes may get addresses of it"
}

// toPods says whether route q leads to other nodes' pods: into a tunnel of the CNI, or to a gateway and not by the link that r is of.
func toPods(s *facts.Snapshot, q *facts.Route, cluster netip.Prefix, r *facts.Route) bool {
	l := s.Host.Link(q.Link)
	return l != nil && q.Link != r.Link && covers(cluster, q.Dst) && (cniTunnel(l) || q.Gateway.IsValid() && strangerOf(s, l) == nic)
}

// taken says whether the node's own packets to an address of the route's prefix take this route: not a longer one, one of a lower metric or of another table.
func taken(host *facts.Namespace, r *facts.Route) bool {
	a := r.Dst.Masked().Addr().Next()
	for range 8 {
		if a = a.Next(); !r.Dst.Contains(a) {
			return false
		}
		if host.RouteTo(a, netip.Addr{}) == r {
			return true
		}
	}
	return false
}

func stolen(s *facts.Snapshot, r *facts.Route, l *facts.Link, kind stranger, severity check.Severity, of netip.Prefix, what string) check.Finding {
	del := []string{"ip", "route", "del", r.Dst.String(), "dev", l.Name}
	if r.Metric > 0 {
		del = append(del, "metric", fmt.Sprint(r.Metric))
	}
	f := check.Finding{
		Severity: severity,
		On:       s.Host.Ref(l),
		Message:  fmt.Sprintf("%s is routed to %s, but lies in the pods' network %s: %s", r.Dst, l.Name, of, what),
		Evidence: []check.Evidence{{Fact: "route to " + r.Dst.String(), Got: "dev " + l.Name}, {Fact: "pods' network", Got: of.String()}},
	}
	move := "ip -o address show dev " + fix.Shell(nil, l.Name) + "  # this network needs a range that is not in " + of.String()
	if l.Name == "docker0" {
		move = `grep -n -e bip -e default-address-pools /etc/docker/daemon.json  # "bip" needs a range that is not in ` + of.String() + "; then: systemctl restart docker"
	}
	f.Fixes = []fix.Fix{{Title: "give " + l.Name + " another network", Advice: []string{move}}}
	if kind != nic {
		f.Fixes[0].Advice = []string{fix.Shell(&s.Host, del...) + "  # until the link is set up again", move}
	}
	return f
}
