package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// uplinks builds a stack for each uplink, and one for tunnels that are on none.
func (m *mapper) uplinks() {
	children := map[int][]*facts.Link{}
	var roots []int
	for i := range m.host.Links {
		l := &m.host.Links[i]
		switch m.role(l) {
		case roleUplink:
			roots = append(roots, l.Index)
		case roleChild:
			under := m.under(l)
			children[under] = append(children[under], l)
		}
	}
	seen := map[int]bool{}
	for _, root := range roots {
		var s stack
		m.climb(&s, m.links[root], 0, children, seen)
		if d := s.Devices[0]; len(roots) > manyUplinks && len(s.Devices) == 1 && len(d.Addresses) == 0 && d.Fault == nil {
			m.out.Others = append(m.out.Others, d)
			continue
		}
		m.out.Uplinks = append(m.out.Uplinks, s)
	}
	for i := range m.host.Links { // on nothing, or in a circle, which only a snapshot made by hand has
		if l := &m.host.Links[i]; m.role(l) == roleChild && !seen[l.Index] {
			var s stack
			m.climb(&s, l, 0, children, seen)
			m.out.Uplinks = append(m.out.Uplinks, s)
		}
	}
}

// manyUplinks is the number from which those that carry nothing, such as unused functions of one card, are only named.
const manyUplinks = 8

// deepest is how far a stack is indented; a deeper device is drawn at this depth.
const deepest = 3

func (m *mapper) climb(s *stack, l *facts.Link, depth int, children map[int][]*facts.Link, seen map[int]bool) {
	if seen[l.Index] {
		return
	}
	seen[l.Index] = true
	d := m.device(l)
	d.Depth = min(depth, deepest)
	s.Devices = append(s.Devices, d)
	for _, c := range children[l.Index] {
		m.climb(s, c, depth+1, children, seen)
	}
}

// under is the index of the link that a tunnel, VLAN or bond member is on: its lower link, its bond, the link of its outer address, or the one that the
// default route leaves by. 0 for none.
func (m *mapper) under(l *facts.Link) int {
	if !isTunnel(l) && l.Kind != "vlan" {
		return l.Master
	}
	if l.Parent != 0 && l.PeerNSID == nil && m.links[l.Parent] != nil {
		return l.Parent
	}
	if l.Tunnel != nil {
		if owner, ok := m.owner[l.Tunnel.Local]; ok && owner != l.Index {
			return owner
		}
	}
	if m.egress != l.Index {
		return m.egress
	}
	return 0
}

// bridges builds a group for each bridge: one that has neither pods nor another port nor a fault is drawn among the others.
func (m *mapper) bridges() {
	for i := range m.host.Links {
		b := &m.host.Links[i]
		if m.role(b) != roleBridge {
			continue
		}
		d := m.device(b)
		g := group{Bridge: &d, Title: b.Name}
		for j := range m.host.Links {
			port := &m.host.Links[j]
			if port.Master != b.Index || j == i {
				continue
			}
			if m.role(port) == rolePort {
				g.Pods = append(g.Pods, m.pod(port))
			} else {
				g.Ports = append(g.Ports, m.device(port))
			}
		}
		if len(g.Pods)+len(g.Ports) == 0 && d.Fault == nil {
			m.out.Others = append(m.out.Others, d)
			continue
		}
		m.out.Groups = append(m.out.Groups, g)
	}
}

// pod is what is behind a veth.
func (m *mapper) pod(veth *facts.Link) pod {
	if p := m.pods[veth.Index]; p != nil {
		return *p
	}
	p := pod{Veth: veth, Fault: m.fault(veth)}
	if veth.PeerNSID != nil {
		p.Owner = m.spaces[*veth.PeerNSID]
	}
	return p
}

// rest places the veths without a bridge, the namespaces without a veth, and what carries nothing.
func (m *mapper) rest(lone []pod) {
	var routed []pod
	for i := range m.host.Links {
		l := &m.host.Links[i]
		master := m.links[l.Master]
		switch m.role(l) {
		case rolePort:
			if master == nil || m.role(master) != roleBridge || master == l {
				routed = append(routed, m.pod(l))
			}
		case roleOther:
			m.out.Others = append(m.out.Others, m.device(l))
		}
	}
	if len(routed) > 0 {
		m.out.Groups = append(m.out.Groups, group{Title: "routed, without a bridge", Pods: routed})
	}
	if len(lone) > 0 {
		m.out.Groups = append(m.out.Groups, group{Title: "namespaces without a link to the node", Pods: lone})
	}
	for i := range m.out.Groups {
		worstFirst(m.out.Groups[i].Pods)
	}
	slices.SortStableFunc(m.out.Others, func(a, b device) int { return cmp.Compare(a.Link.Index, b.Link.Index) })
}

// worstFirst brings faulty pods to the front, so that they are seen among hundreds.
func worstFirst(pods []pod) {
	rank := func(p pod) int {
		if p.Fault == nil {
			return -1
		}
		return int(p.Fault.Severity)
	}
	slices.SortStableFunc(pods, func(a, b pod) int { return cmp.Compare(rank(b), rank(a)) })
}

// name is what a pod is called in the picture.
func (p pod) name() string {
	if p.NS == nil {
		return p.Veth.Name
	}
	if p.NS.Comm != "" {
		return p.NS.Comm
	}
	if p.NS.Path != "" {
		return base(p.NS.Path)
	}
	return fmt.Sprint(p.NS.Inode)
}

// address is the pod's first address that is no loopback's, an IPv4 one if it has any.
func (p pod) address() string {
	if p.NS == nil {
		return ""
	}
	text := ""
	for _, a := range p.NS.Addresses {
		ip := a.Prefix.Addr()
		if ip.IsLoopback() || ip.IsLinkLocalUnicast() || text != "" && !ip.Is4() {
			continue
		}
		if text = ip.String(); ip.Is4() {
			break
		}
	}
	return text
}
