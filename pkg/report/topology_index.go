package report

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// mapper sorts a snapshot's links into a topology.
type mapper struct {
	host    *facts.Namespace
	links   map[int]*facts.Link      // by index
	faults  map[facts.Ref]*fault     // by namespace and index, without name
	inside  map[uint64]*fault        // by namespace: the worst of it
	address map[int][]netip.Prefix   // by link, in the order of their rank
	owner   map[netip.Addr]int       // the link of an address
	egress  int                      // the link of the default route
	outward map[int]bool             // links that lead to other nodes
	pods    map[int]*pod             // by the index of the veth
	spaces  map[int]*facts.Namespace // pods, by the id that the node knows them by
	out     topology
}

// newMapper makes the indexes. A link leads to other nodes where it carries the default route or a tunnel; one that is
// no port of a bridge also where it has an address of a LAN or a gateway behind it.
func newMapper(s *facts.Snapshot) *mapper {
	m := &mapper{
		host: &s.Host, links: map[int]*facts.Link{}, faults: map[facts.Ref]*fault{}, inside: map[uint64]*fault{},
		address: map[int][]netip.Prefix{}, owner: map[netip.Addr]int{}, outward: map[int]bool{}, pods: map[int]*pod{}, spaces: map[int]*facts.Namespace{},
	}
	for i := range m.host.Links {
		m.links[m.host.Links[i].Index] = &m.host.Links[i]
	}
	for _, a := range m.host.Addresses {
		m.address[a.Link] = append(m.address[a.Link], a.Prefix)
		if lanAddress(a.Prefix) && !m.bridged(m.links[a.Link]) {
			m.outward[a.Link] = true
		}
		if _, known := m.owner[a.Prefix.Addr()]; !known {
			m.owner[a.Prefix.Addr()] = a.Link
		}
	}
	for _, list := range m.address {
		slices.SortStableFunc(list, func(a, b netip.Prefix) int { return cmp.Compare(rank(a.Addr()), rank(b.Addr())) })
	}
	for _, r := range m.host.Routes {
		m.route(&r, r.Gateway, r.Link)
		for _, hop := range r.NextHops {
			m.route(&r, hop.Gateway, hop.Link)
		}
	}
	for i := range m.host.Links {
		if l := &m.host.Links[i]; isTunnel(l) || l.Kind == "vlan" {
			m.outward[m.under(l)] = true
		}
	}
	return m
}

// rank orders the addresses of a link: what people call it by comes first. Nearly every link has a link-local one of IPv6.
func rank(ip netip.Addr) int {
	switch {
	case ip.IsLinkLocalUnicast():
		return 2
	case ip.Is4():
		return 0
	}
	return 1
}

func (m *mapper) route(r *facts.Route, gateway netip.Addr, link int) {
	if link == 0 {
		return
	}
	everywhere := r.Dst.Bits() == 0
	if everywhere && m.egress == 0 {
		m.egress = link
	}
	if everywhere || gateway.IsValid() && !m.bridged(m.links[link]) {
		m.outward[link] = true
	}
}

// bridged says whether a link is a port of a bridge.
func (m *mapper) bridged(l *facts.Link) bool {
	if l == nil {
		return false
	}
	master := m.links[l.Master]
	return master != nil && (master.Kind == "bridge" || master.Kind == "openvswitch")
}

// lanAddress says whether an address puts its link on a network with others. What plugins that do without a bridge give the node's end of a pod's pair
// is link-local or of full length.
func lanAddress(p netip.Prefix) bool {
	return !p.IsSingleIP() && !p.Addr().IsLinkLocalUnicast() && !p.Addr().IsLoopback()
}
