package checks

import (
	"net/netip"

	"github.com/netmend/netmend/pkg/facts"
)

// usedAddresses gives the addresses that anybody on the node has: pods, the node's links, routes to a single address, neighbours. known is false where
// an address may be in use unseen: something was not read, a link of the node leads to a namespace that was not found, or a pod's link has no address,
// as under gVisor, which takes it over.
func usedAddresses(s *facts.Snapshot) (used map[netip.Addr]bool, known bool) {
	for _, k := range []facts.Kind{facts.KindPods, facts.KindLinks, facts.KindAddresses, facts.KindRoutes, facts.KindNeighbours} {
		if !s.Has(k) {
			return nil, false
		}
	}
	used = map[netip.Addr]bool{}
	for i := range s.Host.Links {
		l := &s.Host.Links[i]
		if pod, _ := podOf(s, l); l.Kind == "veth" && l.PeerNSID != nil && pod == nil {
			return nil, false
		}
	}
	for i := range s.Pods {
		p := &s.Pods[i]
		if !s.PodHas(p, facts.KindLinks) || !s.PodHas(p, facts.KindAddresses) || !addressed(p) {
			return nil, false
		}
		for _, a := range p.Addresses {
			used[a.Prefix.Addr()] = true
		}
	}
	for _, a := range s.Host.Addresses {
		used[a.Prefix.Addr()] = true
	}
	for _, r := range s.Host.Routes {
		if r.Dst.IsSingleIP() {
			used[r.Dst.Addr()] = true
		}
	}
	for _, e := range s.Host.Neighbours {
		if e.State != "failed" && e.State != "incomplete" {
			used[e.IP] = true
		}
	}
	return used, true
}

// addressed says whether each of the pod's links that leads out of it has an address that others can reach.
func addressed(pod *facts.Namespace) bool {
	for i := range pod.Links {
		l := &pod.Links[i]
		if l.Kind == "veth" && !globalAddress(pod, l.Index, true).IsValid() && !globalAddress(pod, l.Index, false).IsValid() {
			return false
		}
	}
	return true
}
