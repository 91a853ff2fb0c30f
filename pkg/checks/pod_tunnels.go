package checks

import (
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// carriesPods says whether pods' packets go through a tunnel: it is a CNI's by name, it is a port of a CNI's bridge, a route to pods or the node's default
// route leads into it, or such a tunnel's outer packets do. Where that cannot be told, a vxlan, geneve or ipip of a Kubernetes node does. A VPN
// of an administrator, or a tunnel of a router, does not.
func carriesPods(s *facts.Snapshot, l *facts.Link) bool {
	if leadsToPods(s, l) {
		return true
	}
	for i := range s.Host.Links {
		over := &s.Host.Links[i]
		if over == l || !tunnelUp(over) || !leadsToPods(s, over) {
			continue
		}
		if slices.ContainsFunc(outerPaths(&s.Host, over), func(p outerPath) bool { return p.link == l }) {
			return true
		}
	}
	return false
}

func leadsToPods(s *facts.Snapshot, l *facts.Link) bool {
	cidrs := podCIDRs(s)
	overlay := l.Kind == "vxlan" || l.Kind == "geneve" || l.Kind == "ipip"
	switch bridge := s.Host.Link(l.Master); {
	case cniTunnel(l), bridge != nil && cniBridge(s, bridge):
		return true
	case s.Node.Kubelet && overlay && (!clusterKnown(s) || !s.Has(facts.KindRoutes)):
		return true
	}
	return slices.ContainsFunc(s.Host.Routes, func(r facts.Route) bool {
		if r.Type != "unicast" || !r.Dst.IsValid() || !slices.Contains(r.Egress(), l.Index) {
			return false
		}
		return r.Dst.Bits() == 0 && s.Node.Kubelet || r.Dst.Bits() > 0 && overlapsAny(r.Dst, cidrs)
	})
}

// clusterKnown says whether the networks of other nodes' pods are known, and not this node's alone.
func clusterKnown(s *facts.Snapshot) bool {
	return len(s.Intent.PodCIDRs) > 0 || s.CNI != nil && s.CNI.Flannel != nil && s.CNI.Flannel.Network.IsValid()
}
