package collect

import (
	"net/netip"

	"github.com/netmend/netmend/pkg/facts"
)

// nodeView is what of the node's namespace tells which other namespaces are its pods', indexed for many look-ups.
type nodeView struct {
	links    map[int]*facts.Link
	lan      map[int]bool        // links that have an address of a LAN
	routed   map[int]bool        // links over which a route goes to a gateway
	gateways map[netip.Addr]bool // of the default routes
}

// newNodeView needs the node's links, addresses and routes.
func newNodeView(node *facts.Namespace) *nodeView {
	v := &nodeView{links: map[int]*facts.Link{}, lan: map[int]bool{}, routed: map[int]bool{}, gateways: map[netip.Addr]bool{}}
	for i := range node.Links {
		v.links[node.Links[i].Index] = &node.Links[i]
	}
	for _, a := range node.Addresses {
		if lanAddress(a.Prefix) {
			v.lan[a.Link] = true
		}
	}
	for _, r := range node.Routes {
		v.addHop(&r, r.Gateway, r.Link)
		for _, hop := range r.NextHops {
			v.addHop(&r, hop.Gateway, hop.Link)
		}
	}
	return v
}

func (v *nodeView) addHop(r *facts.Route, gateway netip.Addr, link int) {
	if !gateway.IsValid() {
		return
	}
	v.routed[link] = true
	if r.Dst.Bits() == 0 {
		v.gateways[gateway] = true
	}
}

// owns says whether a namespace is one of the node's pods. It needs the namespace's links and addresses, its NSID as the node sees it, and the
// node's id as seen from it (nil where that has none).
//
// A pod hangs on the node: one of its links has an address and is a pair with a link of the node that looks like a pod's end, or lies on a link of
// the node (macvlan, ipvlan, VLAN). What is on the other side of the node's own uplink is not a pod, though it may be a namespace of the same machine
// joined by the same kind of pair: another node, a switch or a router.
func (v *nodeView) owns(pod *facts.Namespace, nodeID *int) bool {
	addressed := map[int]bool{}
	for _, a := range pod.Addresses {
		ip := a.Prefix.Addr()
		if ip.IsLinkLocalUnicast() || ip.IsLoopback() {
			continue
		}
		if v.gateways[ip] {
			return false // the node's way out
		}
		addressed[a.Link] = true
	}
	for i := range pod.Links {
		l := &pod.Links[i]
		parent := v.links[l.Parent]
		if parent == nil || !addressed[l.Index] || l.Master != 0 { // a switch has its end of the pair in a bridge, a pod has it to itself
			continue
		}
		switch {
		case pairKind(l.Kind):
			if paired(l, parent, pod.NSID) && v.podEnd(parent) {
				return true
			}
		case childKind(l.Kind):
			if sameID(l.PeerNSID, nodeID) {
				return true
			}
		}
	}
	return false
}

// paired says whether the pod's link and the node's are the two ends of one pair.
func paired(pod, node *facts.Link, podID *int) bool {
	return pairKind(node.Kind) && node.Parent == pod.Index && sameID(node.PeerNSID, podID)
}

// podEnd says whether the node's end of a pair looks like a pod's: a port of a bridge, or a link without an address of a LAN and without a gateway
// behind it. The plugins that do without a bridge give it no address, a link-local one, or one of full length, and route each pod's address to it.
func (v *nodeView) podEnd(l *facts.Link) bool {
	if master := v.links[l.Master]; master != nil && (master.Kind == "bridge" || master.Kind == "openvswitch") {
		return true
	}
	return !v.lan[l.Index] && !v.routed[l.Index]
}

// lanAddress says whether an address puts its link on a network with others: it is not link-local and its prefix holds more than itself.
func lanAddress(p netip.Prefix) bool {
	a := p.Addr()
	return p.IsValid() && !p.IsSingleIP() && !a.IsLinkLocalUnicast() && !a.IsLoopback()
}

// pairKind says whether links of this kind come as two ends.
func pairKind(kind string) bool { return kind == "veth" || kind == "netkit" }

// childKind says whether links of this kind lie on another link, which may be in another namespace.
func childKind(kind string) bool {
	switch kind {
	case "macvlan", "macvtap", "ipvlan", "ipvtap", "vlan":
		return true
	}
	return false
}

// sameID compares ids of namespaces. Unknown ones are never the same.
func sameID(a, b *int) bool { return a != nil && b != nil && *a == *b && *a >= 0 }
