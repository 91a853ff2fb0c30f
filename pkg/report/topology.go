package report

import (
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// topology is the node's devices as the picture groups them. Each link of the node's namespace is in exactly one place.
type topology struct {
	Uplinks []stack  // hardware, bonds and pairs that lead to other nodes, with the VLANs and tunnels on them
	Groups  []group  // bridges with the pods on them, then the pods that are routed, then namespaces that no link leads to
	Others  []device // what carries nothing: lo, dummies, devices that are down
}

// stack is an uplink with what is on it, parents before children.
type stack struct{ Devices []device }

// group is the pods behind one bridge, or behind none.
type group struct {
	Bridge *device // nil for routed pods and lone namespaces
	Title  string
	Ports  []device // ports of the bridge that lead to no pod
	Pods   []pod
}

// device is one link of the node's namespace.
type device struct {
	Link      *facts.Link
	Depth     int      // below its uplink
	Addresses []string // the first is the one to call it by; link-local ones only where there is no other
	Fault     *fault
}

// pod is one network namespace, or the node's end of a pair whose other end is in none that is known, or in one that is drawn with another of its links; then
// NS is nil.
type pod struct {
	NS    *facts.Namespace
	Veth  *facts.Link      // in the node's namespace; nil where none is known
	Owner *facts.Namespace // of the other end, where it is drawn elsewhere
	Fault *fault
}

// fault is the worst of the findings on one object.
type fault struct {
	Severity check.Severity
	Finding  int // its place in the document
	Count    int
}

// worse joins the faults of two objects that are drawn as one.
func worse(a, b *fault) *fault {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	joined := *a
	if b.Severity > a.Severity || b.Severity == a.Severity && b.Finding < a.Finding {
		joined = *b
	}
	joined.Count = a.Count + b.Count
	return &joined
}

// arrange makes the topology. The second result is the fault of the node itself: findings on objects that are not links of it, or not drawn.
func arrange(d *Document) (topology, *fault) {
	m := newMapper(d.snapshot)
	for i, f := range d.Findings {
		key := facts.Ref{NetNS: f.On.NetNS, Index: f.On.Index}
		if d.snapshot.Namespace(key.NetNS) == nil || key.NetNS == m.host.Inode && m.links[key.Index] == nil {
			key = facts.Ref{}
		}
		m.faults[key] = worse(m.faults[key], &fault{f.Severity, i, 1})
		m.inside[key.NetNS] = worse(m.inside[key.NetNS], &fault{f.Severity, i, 1})
	}
	lone := m.joinPods(d.snapshot.Pods)
	m.uplinks()
	m.bridges()
	m.rest(lone)
	return m.out, m.faults[facts.Ref{}]
}

// isPair says whether a link is one of two ends.
func isPair(l *facts.Link) bool { return l.Kind == "veth" || l.Kind == "netkit" }

// joinPods finds each pod's veth in the node's namespace. It gives the pods without one.
func (m *mapper) joinPods(pods []facts.Namespace) []pod {
	ends := map[int][]*facts.Link{} // by the namespace id of their other end
	for i := range m.host.Links {
		if l := &m.host.Links[i]; l.PeerNSID != nil && m.role(l) == rolePort {
			ends[*l.PeerNSID] = append(ends[*l.PeerNSID], l)
		}
	}
	var lone []pod
	for i := range pods {
		if id := pods[i].NSID; id != nil {
			m.spaces[*id] = &pods[i]
		}
		p := pod{NS: &pods[i], Fault: m.inside[pods[i].Inode]}
		if p.Veth = m.vethOf(p.NS, ends); p.Veth == nil {
			lone = append(lone, p)
			continue
		}
		p.Fault = worse(p.Fault, m.fault(p.Veth))
		m.pods[p.Veth.Index] = &p
	}
	return lone
}

// vethOf finds a pod's veth by the namespace id that the kernel gives, else by the pod's own link: each of the two names the other's index.
func (m *mapper) vethOf(ns *facts.Namespace, ends map[int][]*facts.Link) *facts.Link {
	if ns.NSID != nil {
		for _, l := range ends[*ns.NSID] {
			if m.pods[l.Index] == nil {
				return l
			}
		}
	}
	for i := range ns.Links {
		inner := &ns.Links[i]
		l := m.links[inner.Parent]
		if !isPair(inner) || l == nil || l.Parent != inner.Index || m.role(l) != rolePort || m.pods[l.Index] != nil {
			continue
		}
		if l.PeerNSID == nil || ns.NSID == nil {
			return l
		}
	}
	return nil
}

func (m *mapper) fault(l *facts.Link) *fault {
	return m.faults[facts.Ref{NetNS: m.host.Inode, Index: l.Index}]
}

func (m *mapper) device(l *facts.Link) device {
	d := device{Link: l, Fault: m.fault(l)}
	for i, a := range m.address[l.Index] {
		if i == 0 || !a.Addr().IsLinkLocalUnicast() {
			d.Addresses = append(d.Addresses, a.String())
		}
	}
	return d
}

// role is where a link is drawn.
type role int

const (
	roleOther role = iota
	roleUplink
	roleChild // on another link
	roleBridge
	rolePort // of a pod
)

func (m *mapper) role(l *facts.Link) role {
	master := m.links[l.Master]
	bonded := master != nil && (master.Kind == "bond" || master.Kind == "team")
	switch {
	case l.Loopback:
		return roleOther
	case bonded && (l.Kind == "" || isPair(l)):
		return roleChild
	case isPair(l):
		if m.outward[l.Index] {
			return roleUplink
		}
		if peer := m.links[l.Parent]; l.PeerNSID == nil && peer != nil && isPair(peer) && peer.Parent == l.Index && !m.bridged(l) {
			return roleOther // both ends are here
		}
		return rolePort
	case l.Kind == "bridge" || l.Kind == "vrf" || l.Kind == "openvswitch":
		return roleBridge
	case isTunnel(l):
		if !l.Up && m.fault(l) == nil { // tunl0, gre0 and the like come with their module
			return roleOther
		}
		return roleChild
	case l.Kind == "vlan":
		return roleChild
	case l.Kind == "" || l.Kind == "bond" || l.Kind == "team":
		return roleUplink
	}
	return roleOther
}

func isTunnel(l *facts.Link) bool {
	switch l.Kind {
	case "vxlan", "geneve", "ipip", "sit", "gre", "gretap", "ip6gre", "ip6tnl", "wireguard", "tun", "vti", "xfrm":
		return true
	}
	return l.Tunnel != nil
}
