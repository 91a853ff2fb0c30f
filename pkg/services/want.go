package services

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// Wanted is what a node's kernel must hold. Rules has the form of what it does hold.
type Wanted struct {
	Rules  facts.ServiceRules
	doubts map[int]string // by the index of the path
	loose  bool           // whom kube-proxy masquerades, and whether it knows pods, is not known
}

// Doubt says why nothing certain can be said of a path, by its index in Rules; empty where it must be as it is there.
func (w *Wanted) Doubt(path int) string { return w.doubts[path] }

// builder is one run of [Want].
type builder struct {
	Options
	cluster *facts.Cluster
	paths   []facts.ServicePath
	doubts  map[int32]string // by the index of the path
	scratch []endpoint
	now     front // of the Service that is read
}

// Want computes the ways that a node must have for all Services of a cluster, as kube-proxy's serviceToServiceMap and syncProxyRules do.
func Want(c *facts.Cluster, o Options) *Wanted {
	b := &builder{Options: o, cluster: c, doubts: map[int32]string{}}
	slicesOf := newSliceIndex(c)
	b.paths = make([]facts.ServicePath, 0, likelyPaths(c))
	for i := range c.All {
		if s := &c.All[i]; s.Proxy == "" && !s.Headless && s.Type != facts.TypeExternalName {
			b.service(s, slicesOf.of(s.Name))
		}
	}
	w := &Wanted{Rules: facts.ServiceRules{Mode: o.Mode, Families: []int{4, 6}, NodePorts: b.nodePorts()}, doubts: map[int]string{}, loose: o.Doubts.Masquerade}
	b.sort(w)
	return w
}

// likelyPaths is how many paths most clusters have: one for each port and address.
func likelyPaths(c *facts.Cluster) (n int) {
	for i := range c.All {
		s := &c.All[i]
		addresses := len(s.ClusterIPs) + len(s.ExternalIPs) + len(s.LoadBalancers)
		if s.Type == facts.TypeNodePort || s.Type == facts.TypeLoadBalancer {
			addresses++
		}
		n += len(s.Ports) * addresses
	}
	return n
}

// sort puts the paths in their order and drops those that occur twice.
func (b *builder) sort(w *Wanted) {
	paths := b.paths
	from := facts.SortPaths(paths, func(p, q *facts.ServicePath) int { return strings.Compare(p.Name, q.Name) })
	n := 0
	for i := range paths {
		if n > 0 && paths[n-1].Front(&paths[i]) == 0 && paths[n-1].Name == paths[i].Name {
			continue
		}
		if doubt := b.doubts[from[i]]; doubt != "" {
			w.doubts[n] = doubt
		}
		if n < i {
			paths[n] = paths[i]
		}
		n++
	}
	w.Rules.Paths = paths[:n]
	for first, paths := 0, w.Rules.Paths; first < len(paths); {
		end := first + 1
		for end < len(paths) && sameFront(&paths[first], &paths[end]) {
			end++
		}
		if slices.ContainsFunc(paths[first:end], func(p facts.ServicePath) bool { return p.Name != paths[first].Name || p.Kind != paths[first].Kind }) {
			for i := first; i < end; i++ {
				w.doubts[i] = "several Services ask for this address and port, and kube-proxy takes one of them"
			}
		}
		first = end
	}
}

// sameFront says whether packets cannot tell two paths' frontends apart.
func sameFront(p, q *facts.ServicePath) bool {
	return p.Family == q.Family && p.VIP == q.VIP && p.Port == q.Port && p.Protocol == q.Protocol && (p.Kind == facts.FrontHealth) == (q.Kind == facts.FrontHealth)
}

// front is the part of a Service that its ports of one family share.
type front struct {
	service       *facts.Service
	family        int
	vip           netip.Addr
	external      []netip.Addr
	balancers     []netip.Addr
	sources       []netip.Prefix
	externalLocal bool
}

func (b *builder) service(s *facts.Service, slicesOf []int32) {
	for _, family := range [...]int{4, 6} {
		vips := ofFamily(s.ClusterIPs, family)
		if len(vips) == 0 {
			continue
		}
		f := &b.now
		*f = front{service: s, family: family, vip: vips[0], external: ofFamily(s.ExternalIPs, family), balancers: ofFamily(s.LoadBalancers, family)}
		f.externalLocal = s.ExternalLocal && (s.Type == facts.TypeLoadBalancer || s.Type == facts.TypeNodePort || len(s.ExternalIPs) > 0)
		f.sources = sourceRanges(s.SourceRanges, family)
		for i := range s.Ports {
			b.port(f, &s.Ports[i], slicesOf)
		}
		if s.HealthPort != 0 && s.Type == facts.TypeLoadBalancer && f.externalLocal && b.Mode != facts.ModeNFTables && len(s.Ports) > 0 {
			health := facts.ServicePath{Name: s.Name, Kind: facts.FrontHealth, Family: family, Port: s.HealthPort, Protocol: "tcp"}
			b.add(health, "")
			if b.Mode == facts.ModeIPVS { // its sets of ports are read together, so that each port is told for both families
				health.Family = 10 - family
				b.add(health, "")
			}
		}
	}
}

func (b *builder) add(p facts.ServicePath, doubt string) {
	if doubt != "" {
		b.doubts[int32(len(b.paths))] = doubt
	}
	b.paths = append(b.paths, p)
}

func (b *builder) port(f *front, port *facts.ServicePort, slicesOf []int32) {
	exposed := port.NodePort != 0 || len(f.external) > 0 || len(f.balancers) > 0
	usesCluster := !f.service.InternalLocal || exposed
	usesLocal := f.service.InternalLocal || f.externalLocal && exposed
	list, certain := b.endpointsOf(slicesOf, f.family, port)
	p := portPaths{builder: b, front: f, port: port, sets: b.categorize(list, usesCluster, usesLocal)}
	p.name = PortName(f.service.Name, port.Name)
	p.doubt = b.doubtOf(list, certain, usesLocal)
	if b.Mode == facts.ModeIPVS {
		p.ipvs()
		return
	}
	p.chains()
}

// doubtOf says why the endpoints that are used cannot be known.
func (b *builder) doubtOf(list []endpoint, certain, usesLocal bool) string {
	hint := func(of func(*facts.Endpoint) []string) bool {
		return slices.ContainsFunc(list, func(e endpoint) bool { return len(of(e.of)) > 0 })
	}
	switch {
	case !certain:
		return "EndpointSlices have different conditions for one address"
	case b.Doubts.Node && (usesLocal || hint(func(e *facts.Endpoint) []string { return e.Nodes() })):
		return "it is not known by which name the cluster knows this node"
	case b.Doubts.Zone && hint(func(e *facts.Endpoint) []string { return e.Zones() }):
		return "this node's zone is not known"
	}
	return ""
}

func ofFamily(list []netip.Addr, family int) (out []netip.Addr) {
	for _, a := range list {
		if version(a) != family {
			continue
		}
		if a = a.Unmap(); !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// sourceRanges are those of a family. One that holds all addresses is as good as none (newBaseServiceInfo of serviceport.go).
func sourceRanges(list []netip.Prefix, family int) (out []netip.Prefix) {
	for _, p := range list {
		switch {
		case version(p.Addr()) != family:
		case p.Bits() == 0:
			return nil
		default:
			out = append(out, p.Masked())
		}
	}
	return sorted(out)
}

func sorted(list []netip.Prefix) []netip.Prefix {
	slices.SortFunc(list, func(p, q netip.Prefix) int {
		return cmp.Or(p.Addr().Compare(q.Addr()), cmp.Compare(p.Bits(), q.Bits()))
	})
	return slices.Compact(list)
}
