package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// outerNAT is what will translate a tunnel's outer packets.
type outerNAT struct {
	why      string
	evidence []check.Evidence
}

// outerTranslation finds the first path of a tunnel on which MASQUERADE changes the outer packets; nil where the rules prove none.
//
// A tunnel whose own address is not the node's sends nothing that could be translated (vtep-identity).
func outerTranslation(ns *facts.Namespace, l *facts.Link) *outerNAT {
	if len(ns.Addresses) > 0 && l.Tunnel.Local.IsValid() && !ownAddress(ns, l.Tunnel.Local.Unmap()) {
		return nil
	}
	for _, path := range outerPaths(ns, l) {
		src := l.Tunnel.Local.Unmap()
		m := masqueraded(ns, tunnelPacket(src, path), l.Tunnel.Port)
		switch {
		case m == nil:
		case m.randomFully:
			return &outerNAT{
				why:      "MASQUERADE --random-fully gives them another port",
				evidence: []check.Evidence{{Fact: m.chain, Got: "MASQUERADE --random-fully meets packets to UDP port " + fmt.Sprint(l.Tunnel.Port)}},
			}
		case src.IsValid():
			if chosen := masqueradeSource(ns, path); chosen.IsValid() && chosen != src {
				return &outerNAT{
					why: fmt.Sprintf("MASQUERADE gives them %s in place of %s", chosen, src),
					evidence: []check.Evidence{
						{Fact: m.chain, Got: "MASQUERADE meets packets to UDP port " + fmt.Sprint(l.Tunnel.Port)},
						{Fact: "local address of " + l.Name, Got: src.String(), Want: fmt.Sprintf("%s, the primary address of %s", chosen, path.link.Name)},
					},
				}
			}
		}
	}
	return nil
}

// ownAddress says whether packets to an address are for the node, by an address of a link or a local route.
func ownAddress(ns *facts.Namespace, addr netip.Addr) bool {
	if slices.ContainsFunc(ns.Addresses, func(a facts.Address) bool { return a.Prefix.Addr().Unmap() == addr }) {
		return true
	}
	r := ns.RouteTo(addr, netip.Addr{})
	return r != nil && r.Type == "local"
}

// tunnelPacket is the outer packet to a peer as postrouting meets it: new, and the node's own.
func tunnelPacket(src netip.Addr, path outerPath) packet {
	p := packet{proto: "udp", state: "NEW", out: []string{path.link.Name}}
	if path.peer.IsValid() {
		p.dst.within = netip.PrefixFrom(path.peer, path.peer.BitLen())
		p.v6 = path.peer.Is6()
	}
	if src.IsValid() {
		p.src.within = netip.PrefixFrom(src, src.BitLen())
		p.v6 = src.Is6()
	}
	return p
}

// masqueradeSource is the address that MASQUERADE chooses (inet_select_addr of net/ipv4/devinet.c): of the link's primary global addresses
// the one in whose prefix the next hop is, else the first. For IPv6 it is not known: the choice follows RFC 6724.
func masqueradeSource(ns *facts.Namespace, path outerPath) (chosen netip.Addr) {
	hop := path.via.Unmap()
	if !hop.IsValid() {
		hop = path.peer
	}
	for _, a := range ns.Addresses {
		addr := a.Prefix.Addr()
		if a.Link != path.link.Index || !addr.Is4() || a.Secondary || a.Scope != "global" {
			continue
		}
		if hop.IsValid() && a.Prefix.Contains(hop) {
			return addr
		}
		if !chosen.IsValid() {
			chosen = addr
		}
	}
	return chosen
}
