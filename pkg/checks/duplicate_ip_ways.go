package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// routedElsewhere finds pods whose packets the node sends to another link than theirs, though it has a route to theirs as well. A node that has no route to
// a pod's link, as for an isolated network, sends nothing there on purpose.
func routedElsewhere(s *facts.Snapshot, found map[netip.Addr]*duplicate) {
	if !s.Has(facts.KindRoutes) {
		return
	}
	at := wiredPods(s)
	for _, k := range at.order {
		hs := at.members[k]
		if len(hs) != 1 || k.domain != 0 || !reached(s, hs) {
			continue
		}
		h := hs[0]
		r := s.Host.RouteTo(k.addr, netip.Addr{})
		if r == nil || r.Type != "unicast" && r.Type != "" || len(r.NextHops) > 0 || r.Dst.Bits() == 0 {
			continue
		}
		other := s.Host.Link(r.Link)
		if other == nil || other.Index == h.end.Index || other.Index == h.end.Master {
			continue
		}
		report(found, k.addr, duplicate{
			severity: check.Critical,
			what:     fmt.Sprintf("is the address of %s behind %s, but the node sends its packets to %s", podName(h.ns), h.end.Name, other.Name),
			evidence: []check.Evidence{
				h.evidence("in " + podName(h.ns)),
				{Fact: "route to " + k.addr.String(), Got: fmt.Sprintf("%s dev %s", r.Dst, other.Name), Want: "dev " + wayTo(s, h).Name},
			},
			advice: []string{fix.Shell(&s.Host, "ip", "route", "del", r.Dst.String(), "dev", other.Name) + "  # if nothing behind this link has that network"},
		})
	}
}

// wayTo is the link by which the node reaches a pod: its end of the pair, or the bridge that this is a port of.
func wayTo(s *facts.Snapshot, h holder) *facts.Link {
	if bridge := s.Host.Link(h.end.Master); bridge != nil && bridge.Kind == "bridge" {
		return bridge
	}
	return h.end
}

// reservedForAnother compares the reservations of a pod's network with the container that has just been given the address.
func reservedForAnother(s *facts.Snapshot, found map[netip.Addr]*duplicate) {
	if s.IPAM == nil {
		return
	}
	for i := range s.Pods {
		p := s.Pods[i].Result
		if p == nil || p.Container == "" {
			continue
		}
		for _, n := range s.IPAM.Networks {
			for _, r := range n.Reservations {
				has := slices.ContainsFunc(p.Addresses, func(a facts.ResultAddress) bool { return a.Prefix.Addr() == r.IP })
				if n.Name != p.Network || !has || r.ID == p.Container || r.ID == "" || !ownedByOne(r.IP) {
					continue
				}
				report(found, r.IP, duplicate{
					severity: check.Critical,
					what:     "was given to this pod, but is reserved for another container",
					evidence: []check.Evidence{{Fact: "reservation " + n.Dir + "/" + r.IP.String(), Got: r.ID, Want: p.Container}},
					advice:   []string{"crictl pods -q --no-trunc | grep " + fix.Shell(nil, r.ID) + "  # where it is not listed, the reservation is left over"},
				})
			}
		}
	}
}
