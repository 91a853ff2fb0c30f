package report

import (
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// topology is the node's devices as the picture groups them. Each link of the node's namespace is in exactly one place.
type topology struct {
	Uplinks []stack  // hardware and bonds, with the VLANs and tunnels on them
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
	Link    *facts.Link
	Depth   int // below its uplink
	Address string
	Fault   *fault
}

// pod is one network namespace, or a veth whose other end is in none that is known; then NS is nil.
type pod struct {
	NS    *facts.Namespace
	Veth  *facts.Link // in the node's namespace; nil where none is known
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

// mapper sorts a snapshot's links into a topology.
type mapper struct {
	host    *facts.Namespace
	faults  map[facts.Ref]*fault // by namespace and index, without name
	address map[int]netip.Prefix // by link: the first, an IPv4 one if there is any
	owner   map[netip.Addr]int   // the link of an address
	egress  int                  // the link of the default route
	pods    map[int]*pod         // by the index of the veth
	out     topology
}

// arrange makes the topology. The second result is the fault of the node itself: findings on objects that are not links of it, or not drawn.
func arrange(d *Document) (topology, *fault) {
	m := &mapper{host: &d.snapshot.Host, faults: map[facts.Ref]*fault{}, address: map[int]netip.Prefix{}, owner: map[netip.Addr]int{}, pods: map[int]*pod{}}
	m.index()
	for i, f := range d.Findings {
		key := facts.Ref{NetNS: f.On.NetNS, Index: f.On.Index}
		if d.snapshot.Namespace(key.NetNS) == nil || key.NetNS == m.host.Inode && m.host.Link(key.Index) == nil {
			key = facts.Ref{}
		}
		m.faults[key] = worse(m.faults[key], &fault{f.Severity, i, 1})
	}
	lone := m.joinPods(d.snapshot.Pods)
	m.uplinks()
	m.bridges()
	m.rest(lone)
	return m.out, m.faults[facts.Ref{}]
}

// index makes what would otherwise be looked for once per link.
func (m *mapper) index() {
	for _, a := range m.host.Addresses {
		first, known := m.address[a.Link]
		if !known || a.Prefix.Addr().Is4() && !first.Addr().Is4() {
			m.address[a.Link] = a.Prefix
		}
		if _, known := m.owner[a.Prefix.Addr()]; !known {
			m.owner[a.Prefix.Addr()] = a.Link
		}
	}
	for _, r := range m.host.Routes {
		if r.Dst.Bits() == 0 && r.Link != 0 && m.egress == 0 {
			m.egress = r.Link
		}
	}
}

// joinPods finds each pod's veth in the node's namespace: by the namespace id and index that the kernel gives, else by the pod's own link that
// names the veth's index. It gives the pods without one.
func (m *mapper) joinPods(pods []facts.Namespace) []pod {
	var lone []pod
	for i := range pods {
		p := pod{NS: &pods[i]}
		for key, f := range m.faults {
			if key.NetNS == p.NS.Inode {
				p.Fault = worse(p.Fault, f)
			}
		}
		if p.Veth = m.vethOf(p.NS); p.Veth == nil {
			lone = append(lone, p)
			continue
		}
		p.Fault = worse(p.Fault, m.fault(p.Veth))
		m.pods[p.Veth.Index] = &p
	}
	return lone
}

func (m *mapper) vethOf(ns *facts.Namespace) *facts.Link {
	for i := range m.host.Links {
		l := &m.host.Links[i]
		if l.Kind != "veth" || m.pods[l.Index] != nil {
			continue
		}
		there := slices.ContainsFunc(ns.Links, func(p facts.Link) bool {
			return p.Kind == "veth" && p.Index == l.Parent && p.Parent == l.Index
		})
		known := l.PeerNSID != nil && ns.NSID != nil
		if known && *l.PeerNSID == *ns.NSID || !known && there {
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
	if a, ok := m.address[l.Index]; ok {
		d.Address = a.String()
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
	switch {
	case l.Loopback:
		return roleOther
	case l.Kind == "veth":
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
		if master := m.host.Link(l.Master); master != nil && (master.Kind == "bond" || master.Kind == "team") {
			return roleChild
		}
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
