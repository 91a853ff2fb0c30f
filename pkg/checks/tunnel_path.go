package checks

import (
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// maxPeers bounds the tunnel ends whose way is looked up: a cluster has thousands, which share a few ways.
const maxPeers = 256

// outerPath is the way of a tunnel's outer packets to one peer.
type outerPath struct {
	peer netip.Addr // zero: none is known, the path is the link's or the default route's
	via  netip.Addr // next hop; zero: the peer itself
	link *facts.Link
	mtu  int // of the link and the route
}

// tunnelUp says whether a link is a tunnel that carries packets of its own. One that is driven by flow metadata ("external") has neither peers nor
// a meaningful MTU: whoever drives it (Cilium, Open vSwitch) keeps to the path's by other means.
func tunnelUp(l *facts.Link) bool { return l.Tunnel != nil && l.Up && !l.Tunnel.Collect }

// overhead is how many bytes a tunnel adds to an inner packet of its MTU; 0 for a kind that is not known. vxlan and geneve carry an inner Ethernet
// header, which the MTU does not count (RFC 7348 section 5, RFC 8926 section 3.4; options of geneve come on top). gre counts its key (RFC 2890).
func overhead(l *facts.Link, v6 bool) int {
	outer := 20
	if v6 {
		outer = 40
	}
	key := 0
	if l.Tunnel.ID != 0 {
		key = 4
	}
	switch l.Kind {
	case "vxlan", "geneve":
		return outer + 8 + 8 + 14
	case "ipip", "sit":
		return 20
	case "gre":
		return 20 + 4 + key
	case "gretap":
		return 20 + 4 + key + 14
	case "ip6tnl":
		return 40
	case "ip6gre":
		return 40 + 4 + key
	case "ip6gretap":
		return 40 + 4 + key + 14
	case "wireguard": // type, receiver, counter and authentication: 32 bytes behind UDP (wireguard.com/protocol)
		return outer + 8 + 32
	}
	return 0
}

// peers lists addresses that a tunnel's outer packets go to, in order and each once, of very many a sample: the fixed remote, those of its forwarding entries, and for a
// tunnel of IP in IPv4 without a remote, such as Calico's tunl0, the gateways of its routes.
func peers(ns *facts.Namespace, l *facts.Link) []netip.Addr {
	var out []netip.Addr
	add := func(a netip.Addr) {
		if a = a.Unmap(); a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() {
			out = append(out, a)
		}
	}
	add(l.Tunnel.Remote)
	for _, e := range ns.FDB {
		if e.Link == l.Index {
			add(e.Dst)
		}
	}
	if (l.Kind == "ipip" || l.Kind == "gre") && len(out) == 0 {
		for _, r := range ns.Routes {
			if r.Link == l.Index && r.Gateway.Is4() {
				add(r.Gateway)
			}
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	out = slices.Compact(out)
	if len(out) <= maxPeers {
		return out
	}
	sample := make([]netip.Addr, maxPeers)
	for i := range sample {
		sample[i] = out[i*len(out)/maxPeers]
	}
	return sample
}

// outerPaths finds the links under a tunnel. A tunnel that is bound to a link (IFLA_LINK) sends through it whatever the routes say; another follows
// the routes to its peers. One without either follows the default route.
func outerPaths(ns *facts.Namespace, l *facts.Link) []outerPath {
	var bound *facts.Link
	if l.PeerNSID == nil && l.Parent != l.Index {
		bound = ns.Link(l.Parent)
	}
	var out []outerPath
	for _, peer := range peers(ns, l) {
		out = append(out, pathsTo(ns, l, peer, bound)...)
	}
	if len(out) > 0 {
		return out
	}
	if bound != nil {
		return []outerPath{{link: bound, mtu: bound.MTU}}
	}
	anywhere := netip.IPv4Unspecified()
	if outerV6(ns, l) {
		anywhere = netip.IPv6Unspecified()
	}
	for _, p := range pathsTo(ns, l, anywhere, nil) {
		out = append(out, outerPath{via: p.via, link: p.link, mtu: p.mtu})
	}
	return out
}

func pathsTo(ns *facts.Namespace, l *facts.Link, peer netip.Addr, bound *facts.Link) []outerPath {
	r := ns.RouteTo(peer, l.Tunnel.Local)
	if r == nil || r.Type == "local" {
		if bound == nil || r != nil {
			return nil // an own address, which leaves by no link
		}
		return []outerPath{{peer: peer, link: bound, mtu: bound.MTU}}
	}
	var out []outerPath
	for _, index := range r.Egress() {
		link := ns.Link(index)
		if bound != nil && link != bound || link == nil || link == l {
			continue
		}
		p := outerPath{peer: peer, via: r.Gateway, link: link, mtu: link.MTU}
		if r.MTU > 0 {
			p.mtu = min(p.mtu, r.MTU)
		}
		out = append(out, p)
	}
	if len(out) == 0 && bound != nil {
		out = append(out, outerPath{peer: peer, link: bound, mtu: bound.MTU})
	}
	return out
}

// outerV6 says whether a tunnel's outer packets are IPv6.
func outerV6(ns *facts.Namespace, l *facts.Link) bool {
	switch l.Kind {
	case "ip6tnl", "ip6gre", "ip6gretap":
		return true
	case "ipip", "sit", "gre", "gretap":
		return false
	}
	if a := l.Tunnel.Local.Unmap(); a.IsValid() {
		return a.Is6()
	}
	known := peers(ns, l)
	return len(known) > 0 && known[0].Is6()
}
