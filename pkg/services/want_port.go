package services

import (
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// portPaths makes the paths of one port of a Service in one family.
type portPaths struct {
	*builder
	front *front
	port  *facts.ServicePort
	sets  sets
	name  string
	doubt string
}

// path is what all paths of the port have in common.
func (p *portPaths) path(kind string, vip netip.Addr, port uint16) facts.ServicePath {
	return facts.ServicePath{
		Name: p.name, Kind: kind, Family: p.front.family, VIP: vip, Port: port, Protocol: p.port.Protocol, Affinity: p.front.service.Affinity,
	}
}

// chains makes the paths of iptables and nftables mode, which agree.
func (p *portPaths) chains() {
	s := p.front.service
	internal := p.path(facts.FrontCluster, p.front.vip, p.port.Port)
	internal.Masquerade = facts.MasqHairpin
	switch {
	case p.MasqueradeAll:
		internal.Masquerade |= facts.MasqAll
	case p.family(p.front.family).KnowsPods:
		internal.Masquerade |= facts.MasqOffCluster
	}
	internal.Backends = p.sets.cluster
	if s.InternalLocal {
		internal.Backends = p.sets.local
	}
	p.put(internal)
	firewalled := p.Mode == facts.ModeNFTables || p.sets.any // iptables mode makes no firewall chain for a Service without endpoints
	for _, a := range p.front.external {
		e := p.path(facts.FrontExternal, a, p.port.Port)
		if p.Mode == facts.ModeNFTables && slices.Contains(p.front.balancers, a) {
			e.Sources = p.sources() // its check for source ranges comes first; in iptables mode the external IP's rule does
		}
		p.outward(e)
	}
	for _, a := range p.front.balancers {
		if slices.Contains(p.front.external, a) {
			continue
		}
		e := p.path(facts.FrontLoadBalancer, a, p.port.Port)
		if firewalled {
			e.Sources = p.sources()
		}
		p.outward(e)
	}
	if p.port.NodePort != 0 {
		p.outward(p.path(facts.FrontNodePort, netip.Addr{}, p.port.NodePort))
	}
}

// outward adds the paths of a frontend for connections from outside the cluster. With policy Local, those that come from this node and its pods go to all
// endpoints nevertheless (the KUBE-EXT chain of iptables/proxier.go).
func (p *portPaths) outward(e facts.ServicePath) {
	if !p.sets.any {
		p.put(e)
		return
	}
	if !p.front.externalLocal {
		e.Backends, e.Masquerade = p.sets.cluster, facts.MasqAll|facts.MasqHairpin
		p.put(e)
		return
	}
	inside, outside := e, e
	inside.Scope, inside.Backends, inside.Masquerade = facts.ScopeNode, p.sets.cluster, facts.MasqNode|facts.MasqHairpin
	if p.family(p.front.family).KnowsPods {
		inside.Scope = facts.ScopeInside
	}
	outside.Scope, outside.Backends, outside.Masquerade = facts.ScopeOutside, p.sets.local, facts.MasqHairpin
	p.put(inside)
	p.put(outside)
}

// put adds a path. One without backends rejects or drops, which needs neither affinity nor masquerading.
func (p *portPaths) put(e facts.ServicePath) {
	if len(e.Backends) == 0 {
		e.Affinity, e.Masquerade, e.Verdict = 0, 0, facts.VerdictReject
		if p.sets.any {
			e.Verdict = facts.VerdictDrop
		}
	}
	p.add(e, p.doubtAt(&e))
}

// sources are the source ranges, and where they include the node also the load balancer's addresses, as which the node itself then comes.
func (p *portPaths) sources() []netip.Prefix {
	list := p.front.sources
	if len(list) == 0 {
		return nil
	}
	node := p.family(p.front.family).NodeIP
	if node.IsValid() && slices.ContainsFunc(list, func(r netip.Prefix) bool { return r.Contains(node) }) {
		list = slices.Clone(list)
		for _, a := range p.front.balancers {
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
		}
		list = sorted(list)
	}
	return list
}

func (p *portPaths) doubtAt(e *facts.ServicePath) string {
	switch {
	case p.doubt != "":
		return p.doubt
	case len(e.Sources) > 0 && p.Doubts.NodeIP:
		return "kube-proxy's node IP is not known"
	case e.Kind == facts.FrontNodePort && e.VIP.IsValid() && p.Doubts.NodePorts:
		return "the addresses of node ports are not known"
	}
	return ""
}

// ipvs makes the paths of IPVS mode (syncEndpoint of ipvs/proxier.go): one virtual server for all connections, which goes to all endpoints where policy Local
// finds none on the node. The kernel has no verdict: it answers for a server without destinations by itself.
func (p *portPaths) ipvs() {
	vip := p.path(facts.FrontCluster, p.front.vip, p.port.Port)
	switch {
	case p.MasqueradeAll:
		vip.Masquerade = facts.MasqAll
	case p.family(p.front.family).KnowsPods:
		vip.Masquerade = facts.MasqOffCluster
	default:
		vip.Masquerade = facts.MasqNode
	}
	p.serve(vip, p.front.service.InternalLocal)
	for _, a := range p.front.external {
		e := p.path(facts.FrontExternal, a, p.port.Port)
		if slices.Contains(p.front.balancers, a) {
			e.Sources = p.sourcesIPVS(a)
		}
		p.serveOutward(e)
	}
	for _, a := range p.front.balancers {
		if slices.Contains(p.front.external, a) {
			continue
		}
		e := p.path(facts.FrontLoadBalancer, a, p.port.Port)
		e.Sources = p.sourcesIPVS(a)
		p.serveOutward(e)
	}
	if p.port.NodePort == 0 {
		return
	}
	f := p.family(p.front.family)
	for _, a := range f.Addresses {
		if f.NodePorts == nil || slices.ContainsFunc(f.NodePorts, func(r netip.Prefix) bool { return r.Contains(a) }) {
			p.serveOutward(p.path(facts.FrontNodePort, a, p.port.NodePort))
		}
	}
}

func (p *portPaths) serveOutward(e facts.ServicePath) {
	if !p.front.externalLocal {
		e.Masquerade = facts.MasqAll
	}
	p.serve(e, p.front.externalLocal)
}

func (p *portPaths) serve(e facts.ServicePath, local bool) {
	e.Backends = p.sets.cluster
	if local && len(p.sets.local) > 0 {
		e.Backends = p.sets.local
	}
	p.add(e, p.doubtAt(&e))
}

// sourcesIPVS differs from sources in that each load balancer's address lets in itself alone.
func (p *portPaths) sourcesIPVS(a netip.Addr) []netip.Prefix {
	list := p.front.sources
	node := p.family(p.front.family).NodeIP
	if node.IsValid() && slices.ContainsFunc(list, func(r netip.Prefix) bool { return r.Contains(node) }) {
		list = sorted(append(slices.Clone(list), netip.PrefixFrom(a, a.BitLen())))
	}
	return list
}

// nodePorts says where node ports are served in iptables and nftables mode.
func (b *builder) nodePorts() []facts.NodePortScope {
	if b.Mode == facts.ModeIPVS || b.Doubts.NodePorts {
		return nil
	}
	var out []facts.NodePortScope
	for _, family := range [...]int{4, 6} {
		f := b.family(family)
		scope := facts.NodePortScope{Family: family, All: f.NodePorts == nil, Loopback: f.Loopback}
		for _, a := range f.Addresses {
			if !scope.All && slices.ContainsFunc(f.NodePorts, func(r netip.Prefix) bool { return r.Contains(a) }) {
				scope.Addresses = append(scope.Addresses, a)
			}
		}
		slices.SortFunc(scope.Addresses, netip.Addr.Compare)
		out = append(out, scope)
	}
	return out
}
