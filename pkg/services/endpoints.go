package services

import (
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// endpoint is one endpoint of a Service port.
type endpoint struct {
	addr  netip.AddrPort
	of    *facts.Endpoint
	slice int // the number of its slice
	local bool
}

func (e *endpoint) draining() bool { return e.of.Serving && e.of.Terminating }

func (e *endpoint) same(f *endpoint) bool {
	return e.local == f.local && e.of.Ready == f.of.Ready && e.of.Serving == f.of.Serving && e.of.Terminating == f.of.Terminating &&
		slices.Equal(e.of.Zones(), f.of.Zones()) && slices.Equal(e.of.Nodes(), f.of.Nodes())
}

// endpointsOf collects the endpoints of a Service port in the order of their addresses, each address once (addEndpoints of endpointslicecache.go). An address
// that several slices have with different conditions is that of whichever kube-proxy came to first, which nobody can know: certain is then false.
func (b *builder) endpointsOf(slicesOf []int32, family int, port *facts.ServicePort) (list []endpoint, certain bool) {
	list, certain = b.scratch[:0], true
	for n, i := range slicesOf {
		s := &b.cluster.Slices[i]
		if s.Family != family {
			continue
		}
		for _, p := range s.Ports {
			if p.Name != port.Name || p.Protocol != port.Protocol || p.Port == 0 {
				continue
			}
			for j := range s.Endpoints {
				e := &s.Endpoints[j]
				if version(e.Addr) == family {
					list = append(list, endpoint{addr: netip.AddrPortFrom(e.Addr.Unmap(), p.Port), of: e, slice: n, local: b.Node != "" && e.Node == b.Node})
				}
			}
		}
	}
	b.scratch = list
	slices.SortStableFunc(list, func(x, y endpoint) int { return x.addr.Compare(y.addr) })
	out := list[:0]
	for i := 0; i < len(list); {
		end := i + 1
		for end < len(list) && list[end].addr == list[i].addr {
			end++
		}
		e, sure := among(list[i:end])
		certain = certain && sure
		out = append(out, e)
		i = end
	}
	return out, certain
}

// among chooses between endpoints of one address: the last local one, else the first, in an order of slices that is random.
func among(list []endpoint) (e endpoint, certain bool) {
	e, certain = list[0], true
	for i := 1; i < len(list); i++ {
		f := &list[i]
		switch {
		case !f.same(&e) && f.slice != e.slice && f.local == e.local:
			certain = false
		case !f.same(&e) && f.local:
			e = *f
		}
		if f.local && !e.local {
			e = *f
		}
	}
	return e, certain
}

// sets are the endpoints that a Service port uses on this node (CategorizeEndpoints of topology.go).
type sets struct {
	cluster, local []facts.ServiceBackend // by the policies Cluster and Local
	any            bool                   // there is an endpoint somewhere
}

// categorize is CategorizeEndpoints. Hints are heeded where every ready endpoint has some and one is for this node, or else for its zone.
func (b *builder) categorize(list []endpoint, usesCluster, usesLocal bool) (s sets) {
	if usesCluster {
		hinted := b.hinted(list)
		s.cluster = backends(list, func(e *endpoint) bool { return e.of.Ready && (hinted == nil || hinted(e)) })
		if len(s.cluster) == 0 {
			s.cluster = backends(list, (*endpoint).draining)
		}
		s.any = len(s.cluster) > 0
	}
	if usesLocal {
		s.any = s.any || slices.ContainsFunc(list, func(e endpoint) bool { return e.of.Ready || e.draining() })
		s.local = backends(list, func(e *endpoint) bool { return e.local && e.of.Ready })
		if len(s.local) == 0 {
			s.local = backends(list, func(e *endpoint) bool { return e.local && e.draining() })
		}
		if slices.Equal(s.local, s.cluster) {
			s.local = s.cluster // one list in memory
		}
	}
	return s
}

// hinted is topologyModeFromHints; nil where hints are not heeded.
func (b *builder) hinted(list []endpoint) func(*endpoint) bool {
	forNode, allNodes, forZone, allZones := false, true, false, true
	for i := range list {
		e := &list[i]
		if !e.of.Ready {
			continue
		}
		allNodes = allNodes && len(e.of.Nodes()) > 0
		forNode = forNode || slices.Contains(e.of.Nodes(), b.Node)
		allZones = allZones && len(e.of.Zones()) > 0
		forZone = forZone || slices.Contains(e.of.Zones(), b.Zone)
	}
	switch {
	case allNodes && forNode:
		return func(e *endpoint) bool { return slices.Contains(e.of.Nodes(), b.Node) }
	case allZones && forZone:
		return func(e *endpoint) bool { return slices.Contains(e.of.Zones(), b.Zone) }
	}
	return nil
}

// backends lists those that are wanted. Lists without any are nil.
func backends(list []endpoint, wanted func(*endpoint) bool) []facts.ServiceBackend {
	n := 0
	for i := range list {
		if wanted(&list[i]) {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	out := make([]facts.ServiceBackend, 0, n)
	for i := range list {
		if wanted(&list[i]) {
			out = append(out, facts.ServiceBackend{Addr: list[i].addr, Weight: 1})
		}
	}
	return out
}
