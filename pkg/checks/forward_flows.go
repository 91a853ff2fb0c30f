package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// podFlow is one direction of what a pod network needs.
type podFlow struct {
	what        string
	packet      packet
	fromOutside bool // connections from beyond the node, where no route says that other nodes' pods are there
}

// String says where the packets come from and go to.
func (f podFlow) String() string {
	side := func(links []string, a addrRange) string {
		text := "anywhere"
		if a.within.IsValid() {
			text = a.within.String()
		}
		if len(links) > 0 {
			text = strings.Join(links[:min(len(links), 3)], ", ") + " " + text
		}
		return text
	}
	return fmt.Sprintf("%s from %s to %s", f.packet.state, side(f.packet.in, f.packet.src), side(f.packet.out, f.packet.dst))
}

// podFlows gives the flows between each of the pod networks (the node's own, or where they are not known the cluster's) and what is outside of the node:
// other nodes' pods, by the links that have routes to them, or everything by the default route. Without a pod network, pods are what comes in by their
// bridge. kube-proxy's mark is on none of them: it marks packets to Services that it is to masquerade. Connections to pods are demanded of Kubernetes
// nodes only; other container hosts close them on purpose.
func podFlows(s *facts.Snapshot, cidrs, own, cluster []netip.Prefix, v6 bool) (out []podFlow) {
	pods := podLinkNames(s)
	others := linksTo(s, v6, func(dst netip.Prefix) bool {
		return dst.Bits() > 0 && overlapsAny(dst, cluster) && !insideAny(dst, own)
	})
	others = slices.DeleteFunc(others, func(name string) bool { return slices.Contains(pods, name) })
	toPods := len(others) > 0
	if !toPods {
		others = linksTo(s, v6, func(dst netip.Prefix) bool { return dst.Bits() == 0 })
	}
	if len(cidrs) == 0 {
		cidrs = []netip.Prefix{{}}
	}
	for _, cidr := range cidrs {
		inside, outside := addrRange{within: cidr}, addrRange{without: cidr}
		for _, c := range cluster {
			switch {
			case c == cidr && len(own) == 0: // this node's part of it is not known
				outside.without = netip.Prefix{}
			case toPods && cidr.IsValid() && covers(c, cidr):
				outside.within = c
			}
		}
		p := packet{v6: v6, proto: "tcp", markMask: kubeMark}
		from, to := p, p
		from.in, from.src, from.out, from.dst = pods, inside, others, outside
		to.in, to.src, to.out, to.dst = others, outside, pods, inside
		out = append(out, podFlow{what: "connections from pods", packet: from.with("NEW")}, podFlow{what: "answers to pods", packet: to.with("ESTABLISHED")})
		if s.Node.Kubelet {
			out = append(out, podFlow{"connections to pods", to.with("NEW"), !toPods}, podFlow{what: "answers from pods", packet: from.with("ESTABLISHED")})
		}
	}
	return out
}

func overlapsAny(p netip.Prefix, all []netip.Prefix) bool {
	return slices.ContainsFunc(all, func(q netip.Prefix) bool { return q.IsValid() && q.Overlaps(p) })
}

func insideAny(p netip.Prefix, all []netip.Prefix) bool {
	return slices.ContainsFunc(all, func(q netip.Prefix) bool { return q.IsValid() && covers(q, p) })
}

func (p packet) with(state string) packet {
	p.state = state
	return p
}

// podLinkNames gives the links by which the node's pods' packets come in: the CNI's bridges, or the node's ends of veths where there is none. Empty means that
// they are not known.
func podLinkNames(s *facts.Snapshot) (names []string) {
	for i := range s.Host.Links {
		if l := &s.Host.Links[i]; cniBridge(s, l) {
			names = append(names, l.Name)
		}
	}
	if len(names) > 0 {
		return names
	}
	for i := range s.Host.Links {
		if l := &s.Host.Links[i]; l.Master == 0 && l.PeerNSID != nil && cniPort(s, l) {
			names = append(names, l.Name)
		}
	}
	return names
}

// linksTo gives the links of the unicast routes to the destinations that are wanted, each once. A blackhole route has none.
func linksTo(s *facts.Snapshot, v6 bool, wanted func(netip.Prefix) bool) (names []string) {
	for i := range s.Host.Routes {
		r := &s.Host.Routes[i]
		if r.Type != "unicast" || !r.Dst.IsValid() || r.Dst.Addr().Is6() != v6 || !wanted(r.Dst) {
			continue
		}
		for _, index := range r.Egress() {
			if l := s.Host.Link(index); l != nil && l.Up && !slices.Contains(names, l.Name) {
				names = append(names, l.Name)
			}
		}
	}
	return names
}
