package nodereport

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/facts"
)

// Bounds of the lists of a network. With all of them full, and the longest names, half of a report is left for findings.
const (
	maxCIDRs      = 16
	maxUplinks    = 8
	maxAddresses  = 8 // of an uplink
	maxTunnels    = 8
	maxTranslated = 12 // of a tunnel
	maxMTUs       = 8
	maxLink       = 32 // bytes of a name or an address of a link; the kernel's names have 15, and MAX_ADDR_LEN is 32
)

// read fills in what the facts tell, but the addresses of pods, which it gives: how many of them have room is known later.
func (n *Network) read(s *facts.Snapshot, m *Memory) (pods []netip.Addr) {
	if s == nil {
		return nil
	}
	n.CNI = short(checks.RunningNetwork(s), maxWord)
	if s.Proxy != nil {
		n.ProxyMode = short(s.Proxy.Mode, maxLink)
	}
	n.PodCIDRs = podCIDRs(s)
	under := map[*facts.Link]bool{}
	var tunnels []Tunnel
	known, unknown := m.tunnels, m.more
	if m.seen != s {
		known, unknown = checks.Tunnels(s)
	}
	for _, e := range known {
		for _, u := range e.Under {
			under[u] = true
		}
		tunnels = append(tunnels, tunnel(e, m))
	}
	n.Tunnels, n.LinksOmitted = first(tunnels, maxTunnels, func(a, b Tunnel) int {
		return cmp.Or(cmp.Compare(b.told(), a.told()), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(n.Tunnels, func(a, b Tunnel) int { return strings.Compare(a.Name, b.Name) })
	uplinks, more := first(uplinks(s, under), maxUplinks, func(a, b Uplink) int { return strings.Compare(a.Name, b.Name) })
	n.Uplinks, n.LinksOmitted = uplinks, n.LinksOmitted+more+unknown
	for _, end := range checks.PodEnds(s) {
		if end.Link.Up {
			n.PodMTU = append(n.PodMTU, end.Link.MTU)
		}
		for _, a := range end.Pod.Addresses {
			addr := a.Prefix.Addr().Unmap()
			if a.Link == end.Link.Index && lasting(&a) && !slices.ContainsFunc(n.PodCIDRs, func(p netip.Prefix) bool { return p.Contains(addr) }) {
				pods = append(pods, addr)
			}
		}
	}
	slices.Sort(n.PodMTU)
	n.PodMTU = slices.Compact(n.PodMTU)
	n.PodMTU = n.PodMTU[:min(len(n.PodMTU), maxMTUs)]
	slices.SortFunc(pods, netip.Addr.Compare)
	return slices.Compact(pods)
}

// first gives the first of a list, and how many are left.
func first[T any](list []T, most int, order func(a, b T) int) (some []T, more int) {
	slices.SortStableFunc(list, order)
	n := min(len(list), most)
	return list[:n:n], len(list) - n
}

// podCIDRs are those by which the node's pods get their addresses: as the CNI has them, else as the Node object does.
func podCIDRs(s *facts.Snapshot) []netip.Prefix {
	out := s.Intent.NodePodCIDR
	if len(out) == 0 && s.Intent.Cluster != nil && s.Intent.Cluster.Node != nil {
		out = s.Intent.Cluster.Node.PodCIDRs
	}
	out, _ = first(slices.Clone(out), maxCIDRs, netip.Prefix.Compare)
	return slices.Compact(out)
}

// told ranks tunnels: what other nodes' trouble may come from is told even of a node with very many.
func (t *Tunnel) told() int {
	n := len(t.Translated)
	if t.BadChecksums || t.BadChecksumsLikely {
		n++
	}
	return n
}

func tunnel(e checks.TunnelEvidence, m *Memory) Tunnel {
	l := e.Tunnel
	t := Tunnel{
		Name: short(l.Name, maxLink), Kind: short(l.Kind, maxLink), ID: l.Tunnel.ID, Port: l.Tunnel.Port, Local: l.Tunnel.Local.Unmap().WithZone(""), MAC: short(l.MAC, maxLink), MTU: l.MTU,
		BadChecksums: !m.dropped[l.Name].IsZero(), BadChecksumsLikely: !m.suspected[l.Name].IsZero(),
	}
	if len(e.Under) > 0 {
		t.Uplink = short(e.Under[0].Name, maxLink)
	}
	if f, known := l.Features[facts.FeatureTxChecksum]; known {
		t.TxChecksum = &f.On
	}
	for f := range m.translated {
		if f.tunnel == l.Name {
			t.Translated = append(t.Translated, f.to.WithZone(""))
		}
	}
	t.Translated, _ = first(t.Translated, maxTranslated, netip.Addr.Compare)
	return t
}

// uplinks are the links by which packets leave the node for others: those under its tunnels, those of its default routes, and those that hold an address that
// the Node object has.
func uplinks(s *facts.Snapshot, under map[*facts.Link]bool) (out []Uplink) {
	for i := range s.Host.Routes {
		r := &s.Host.Routes[i]
		if r.Table == facts.TableMain && r.Type == "unicast" && r.Dst.IsValid() && r.Dst.Bits() == 0 {
			for _, index := range r.Egress() {
				under[s.Host.Link(index)] = true
			}
		}
	}
	if c := s.Intent.Cluster; c != nil && c.Node != nil {
		for _, a := range s.Host.Addresses {
			if slices.Contains(c.Node.Addresses, a.Prefix.Addr().Unmap()) {
				under[s.Host.Link(a.Link)] = true
			}
		}
	}
	for l := range under {
		if l == nil || l.Loopback || l.Tunnel != nil || l.Name == "kube-ipvs0" { // there an address is that of a Service
			continue
		}
		u := Uplink{Name: short(l.Name, maxLink), MTU: l.MTU, MAC: short(l.MAC, maxLink)}
		for i := range s.Host.Addresses {
			if a := &s.Host.Addresses[i]; a.Link == l.Index && lasting(a) {
				u.Addresses = append(u.Addresses, netip.PrefixFrom(a.Prefix.Addr().WithZone(""), a.Prefix.Bits()))
			}
		}
		u.Addresses, _ = first(u.Addresses, maxAddresses, netip.Prefix.Compare)
		out = append(out, u)
	}
	return out
}

// lasting says whether an address is one by which others may know the link: global, in use, and not a temporary one of IPv6 (RFC 8981), of which there is
// another each day.
func lasting(a *facts.Address) bool {
	return a.Prefix.IsValid() && a.Scope == "global" && !a.Tentative && !a.DADFailed && (a.Prefix.Addr().Is4() || !a.Secondary)
}
