package cluster

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/nodereport"
)

// PodCIDR finds ranges of pods that are not one node's alone.
var PodCIDR = &Check{
	Name:     "cluster-pod-cidr",
	Title:    "Pod CIDRs of nodes overlap with each other or with the nodes' own networks",
	Since:    since,
	Severity: check.Critical,
	Needs:    []Source{Reports, Nodes},
	Doc: `
Each node gives its pods addresses of a range of its own, and the others have one route for it. Where two nodes have the same range, packets for half of the pods go
to the wrong node.

**How it is seen.** Pods reach some pods of other nodes and not others; ~ip route get ADDRESS~ on a third node leads to the wrong one. Two pods may get the same
address.

**What is judged.**

- the ranges of two nodes, as their configuration or ~spec.podCIDRs~ has them, overlap: critical. Configuration that was copied from node to node does this.
- a node's address lies in the range of another node's pods: critical where a tunnel carries pods' packets, because the route to the range takes the
  tunnel's own packets too
- the network of an uplink overlaps with such a range: a warning
- a node's configuration has another range than its ~spec.podCIDRs~, on a node of flannel or in a cluster where other nodes' agree: a warning

**Fix.** Give the node a range of its own; pods that have addresses of the wrong one have to be made anew.

**When it is no fault.** Networks that do not use ~spec.podCIDRs~ (Calico, Cilium with a pool of its own, the clouds') differ from it on every node.
Without a tunnel, a range within the nodes' network can be meant so (macvlan, ipvlan) and is passed over unless it is the Node's own.
`,
	run: runPodCIDR,
}

// podRange is a range of a node's pods, and who says so.
type podRange struct {
	node           string
	prefix         netip.Prefix
	spec, reported bool
	tunnel         bool // the node has one
}

func (r podRange) source() string {
	switch {
	case r.spec && r.reported:
		return "spec.podCIDRs and configuration of " + r.node
	case r.spec:
		return "spec.podCIDRs of " + r.node
	}
	return "configuration of " + r.node
}

func runPodCIDR(v *view) []Finding {
	all := v.podRanges()
	return slices.Concat(overlapping(all), v.inUplinks(all), v.otherThanSpec())
}

// podRanges gives each node's, by the range.
func (v *view) podRanges() (out []podRange) {
	reports := map[string]*nodereport.Report{}
	for _, r := range v.current {
		reports[r.Metadata.Name] = r
	}
	names := map[string]bool{}
	for name := range v.nodes {
		names[name] = true
	}
	for name := range reports {
		names[name] = true
	}
	for _, name := range sorted(names) {
		mine := map[netip.Prefix]*podRange{}
		take := func(p netip.Prefix) *podRange {
			p = p.Masked()
			if mine[p] == nil {
				mine[p] = &podRange{node: name, prefix: p}
			}
			return mine[p]
		}
		for _, p := range v.of(name).PodCIDRs {
			take(p).spec = true
		}
		r := reports[name]
		if r != nil {
			for _, p := range r.Status.Network.PodCIDRs {
				take(p).reported = true
			}
		}
		for _, x := range mine {
			x.tunnel = r != nil && len(r.Status.Network.Tunnels) > 0
			out = append(out, *x)
		}
	}
	slices.SortFunc(out, func(a, b podRange) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), a.prefix.Bits()-b.prefix.Bits(), cmp.Compare(a.node, b.node))
	})
	return out
}

// overlapping finds ranges of several nodes. Ranges either are one within the other or have nothing in common, so that those around one are a stack.
func overlapping(all []podRange) (out []Finding) {
	var around [][]podRange // each element: one range, with the nodes that have it
	inner := map[netip.Prefix][]podRange{}
	var g groups[netip.Prefix, podRange]
	for _, r := range all {
		g.add(r.prefix, r)
	}
	for _, p := range g.order {
		for len(around) > 0 && !around[len(around)-1][0].prefix.Overlaps(p) {
			around = around[:len(around)-1]
		}
		for _, outer := range around {
			for _, r := range g.of[p] {
				if slices.ContainsFunc(outer, func(o podRange) bool { return o.node != r.node }) {
					inner[outer[0].prefix] = append(inner[outer[0].prefix], r)
				}
			}
		}
		around = append(around, g.of[p])
	}
	for _, p := range g.order {
		both := slices.Concat(g.of[p], inner[p])
		var nodes, said []string
		for _, r := range both {
			if !slices.Contains(nodes, r.node) {
				nodes = append(nodes, r.node)
			}
			said = append(said, r.prefix.String()+" ("+r.source()+")")
		}
		if len(nodes) < 2 {
			continue
		}
		f := finding(check.Critical, p.String(), nodes, "pod CIDR %s is not one node's alone: %s have it or a part of it", p, list(nodes))
		f.prove("pod CIDRs", list(said), "ranges that do not overlap")
		last := both[len(both)-1].node
		f.Fixes = []fix.Fix{{Title: "give all but one of these nodes another range, and restart their pods", Cost: "pods of that node get new addresses", Advice: []string{
			"kubectl get nodes -o custom-columns=NAME:.metadata.name,PODCIDRS:.spec.podCIDRs",
			"grep -rn subnet /etc/cni/net.d /run/flannel/subnet.env   # on " + last,
			"kubectl drain " + word(last) + " --ignore-daemonsets --delete-emptydir-data",
		}}}
		out = append(out, f)
	}
	return out
}

// otherThanSpec finds nodes whose configuration has another range than the API.
func (v *view) otherThanSpec() (out []Finding) {
	var differ []*nodereport.Report
	agree := map[string]int{} // by the network's name
	for _, r := range v.current {
		spec, own := v.of(r.Metadata.Name).PodCIDRs, r.Status.Network.PodCIDRs
		switch {
		case len(spec) == 0 || len(own) == 0:
		case slices.ContainsFunc(own, func(p netip.Prefix) bool { return !within(p, spec) }):
			differ = append(differ, r)
		default:
			agree[r.Status.Network.CNI]++
		}
	}
	for _, r := range differ {
		name, network := r.Metadata.Name, &r.Status.Network
		if v.of(name).Flannel == nil && (agree[network.CNI] == 0 || agree[network.CNI] < len(differ)) {
			continue // this network does not use it
		}
		f := finding(check.Warning, name, []string{name}, "pods of %s get addresses of %s, and the cluster thinks it is %s", name, prefixes(network.PodCIDRs), prefixes(v.of(name).PodCIDRs))
		f.prove("configuration of "+name, prefixes(network.PodCIDRs), prefixes(v.of(name).PodCIDRs))
		f.Fixes = []fix.Fix{{Title: "let the network's agent write the node's configuration anew", Cost: "pods that are there keep their addresses until they are made anew", Advice: []string{
			"kubectl get node " + word(name) + " -o jsonpath='{.spec.podCIDRs}'",
			"grep -rn subnet /etc/cni/net.d /run/flannel/subnet.env   # on " + name,
		}}}
		out = append(out, f)
	}
	return out
}

// within says whether a range is one of others or has one of them within it or around it, and so may be meant.
func within(p netip.Prefix, others []netip.Prefix) bool {
	return slices.ContainsFunc(others, func(o netip.Prefix) bool {
		return o.Overlaps(p) || o.Addr().Is4() != p.Addr().Is4() && !hasFamily(others, p)
	})
}

func hasFamily(list []netip.Prefix, p netip.Prefix) bool {
	return slices.ContainsFunc(list, func(o netip.Prefix) bool { return o.Addr().Is4() == p.Addr().Is4() })
}
