package cluster

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/nodereport"
)

// DuplicateIP finds an address that two nodes, two pods, or a node and a pod have.
var DuplicateIP = &Check{
	Name:     "cluster-duplicate-ip",
	Title:    "Two nodes or pods have the same address",
	Since:    since,
	Severity: check.Critical,
	Needs:    []Source{Reports},
	Doc: `
An address that two machines have gets packets of the other: connections break at random, as neighbour tables change between them.

**How it is seen.** ~arping -D -I eth0 ADDRESS~ from a third machine has answers of two MAC addresses; connections hang and are reset.

**What is judged.**

- two nodes have an address on their uplinks, and it is the InternalIP of one of them or the end of a tunnel: critical; another address: info, because the uplinks
  may be of different networks, as with the NAT link that every Vagrant machine has
- two Nodes have the same InternalIP: critical
- pods of two nodes have the same address: critical where it is of a pod CIDR of the cluster, otherwise info: networks of one node alone may use the same
  addresses on each
- a pod has the address by which the cluster knows a node: critical

**Fix.** Take the address from the wrong one, and find out who gave it: a cloned machine, a static address within a DHCP range, two IPAM ranges that overlap.

**When it is no fault.** Virtual addresses that move (keepalived, kube-vip, anycast) have a prefix of /32 or /128 and are passed over, unless a cluster knows
its node by them, as on clouds that give nodes a /32. Link-local addresses and those of bridges such as docker0 are no uplinks'. Nodes that are not ready are passed
over: their address may have been given to another.
`,
	partial: func(v *view) string {
		return v.omitted("address of a pod has", "addresses of pods have", func(n *nodereport.Network) int { return n.PodsOmitted })
	},
	run: runDuplicateIP,
}

// holder is a node that has an address.
type holder struct {
	node, link string
	weak       bool // with the prefix of a host: it may be a virtual one
}

func runDuplicateIP(v *view) []Finding {
	uplinks, pods, ends, ids := map[netip.Addr][]holder{}, map[netip.Addr][]holder{}, map[netip.Addr]bool{}, map[netip.Addr][]string{}
	var cidrs []netip.Prefix
	for _, name := range sorted(v.nodes) {
		n := v.nodes[name]
		cidrs = append(cidrs, n.PodCIDRs...)
		if !n.Ready {
			continue
		}
		for _, a := range n.identities() {
			ids[a] = append(ids[a], name)
		}
	}
	for _, r := range v.current {
		name, network := r.Metadata.Name, &r.Status.Network
		cidrs = append(cidrs, network.PodCIDRs...)
		for _, u := range network.Uplinks {
			for _, p := range u.Addresses {
				if a := p.Addr().Unmap(); a.IsGlobalUnicast() {
					hold(uplinks, a, holder{name, u.Name, p.Bits() == p.Addr().BitLen()})
				}
			}
		}
		for _, t := range network.Tunnels {
			if t.Local.IsValid() {
				ends[t.Local.Unmap()] = true
			}
		}
		for _, a := range network.PodAddresses {
			if a = a.Unmap(); a.IsGlobalUnicast() {
				hold(pods, a, holder{node: name})
			}
		}
	}
	return slices.Concat(sameNodeAddress(uplinks, ids, ends), samePodAddress(pods, cidrs), podHasNodeAddress(pods, ids))
}

// hold adds a holder, each node once; with a wider prefix it counts.
func hold(m map[netip.Addr][]holder, a netip.Addr, h holder) {
	for i := range m[a] {
		if m[a][i].node == h.node {
			m[a][i].weak = m[a][i].weak && h.weak
			return
		}
	}
	m[a] = append(m[a], h)
}

func addressesIn[V any](m map[netip.Addr]V) []netip.Addr {
	var out []netip.Addr
	for a := range m {
		out = append(out, a)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

func sameNodeAddress(uplinks map[netip.Addr][]holder, ids map[netip.Addr][]string, ends map[netip.Addr]bool) (out []Finding) {
	all := map[netip.Addr]bool{}
	for a := range uplinks {
		all[a] = true
	}
	for a := range ids {
		all[a] = true
	}
	for _, a := range addressesIn(all) {
		var nodes, where []string
		for _, h := range uplinks[a] {
			if !h.weak || slices.Contains(ids[a], h.node) {
				nodes, where = append(nodes, h.node), append(where, h.link+" of "+h.node)
			}
		}
		for _, n := range ids[a] {
			if !slices.Contains(nodes, n) {
				nodes, where = append(nodes, n), append(where, "InternalIP of Node "+n)
			}
		}
		if len(nodes) < 2 {
			continue
		}
		slices.Sort(nodes)
		severity, what := check.Critical, "%s have the address %s, by which the cluster knows a node or a tunnel's end"
		if len(ids[a]) == 0 && !ends[a] {
			severity, what = check.Info, "%s have the address %s: harmless only where these links are of different networks"
		}
		f := finding(severity, a.String(), nodes, what, list(nodes), a)
		f.prove("who has "+a.String(), list(where), "one node")
		f.Fixes = []fix.Fix{{Title: "see who answers for it from a third machine of that network, and take it from the other", Advice: []string{
			"arping -D -c 3 -I IFACE " + a.String(), "kubectl get nodes -o wide | grep -wF " + a.String(),
		}}}
		out = append(out, f)
	}
	return out
}

func samePodAddress(pods map[netip.Addr][]holder, cidrs []netip.Prefix) (out []Finding) {
	ranges := newRanges(cidrs)
	for _, a := range addressesIn(pods) {
		if len(pods[a]) < 2 {
			continue
		}
		nodes := nodesOf(pods[a])
		severity, what := check.Critical, "pods of %s have the same address %s"
		if !ranges.contains(a) {
			severity, what = check.Info, "pods of %s have the same address %s: harmless only where it is of a network that each node has for itself"
		}
		f := finding(severity, a.String(), nodes, what, list(nodes), a)
		f.prove("nodes with a pod that has "+a.String(), list(nodes), "one")
		f.Fixes = []fix.Fix{{Title: "find the pods, delete the younger one, and compare the ranges that IPAM gives addresses from", Advice: []string{
			"kubectl get pods -A -o wide --field-selector status.podIP=" + a.String(),
		}}}
		out = append(out, f)
	}
	return out
}

func podHasNodeAddress(pods map[netip.Addr][]holder, ids map[netip.Addr][]string) (out []Finding) {
	for _, a := range addressesIn(pods) {
		for _, owner := range ids[a] {
			nodes := slices.DeleteFunc(nodesOf(pods[a]), func(n string) bool { return n == owner })
			if len(nodes) == 0 {
				continue
			}
			f := finding(check.Critical, a.String(), append(nodes, owner), "a pod of %s has the address %s, which is that of node %s", list(nodes), a, owner)
			f.prove("pod address", a.String()+" on "+list(nodes), "")
			f.prove("InternalIP of Node "+owner, a.String(), "")
			f.Fixes = []fix.Fix{{Title: "delete the pod, and take the nodes' addresses out of the range that IPAM gives", Advice: []string{
				"kubectl get pods -A -o wide --field-selector status.podIP=" + a.String(),
			}}}
			out = append(out, f)
		}
	}
	return out
}

func nodesOf(hs []holder) (out []string) {
	for _, h := range hs {
		out = append(out, h.node)
	}
	slices.Sort(out)
	return out
}

// ranges are address ranges of which it is asked often whether an address is in them.
type ranges struct {
	known map[netip.Prefix]bool
	bits  []int // lengths that occur
}

func newRanges(list []netip.Prefix) ranges {
	r := ranges{known: map[netip.Prefix]bool{}}
	for _, p := range list {
		r.known[p.Masked()] = true
		if !slices.Contains(r.bits, p.Bits()) {
			r.bits = append(r.bits, p.Bits())
		}
	}
	return r
}

func (r ranges) contains(a netip.Addr) bool {
	for _, bits := range r.bits {
		if p, err := a.Prefix(bits); err == nil && r.known[p] {
			return true
		}
	}
	return false
}

// prefixes writes ranges in one line.
func prefixes(list []netip.Prefix) string {
	var out []string
	for _, p := range list {
		out = append(out, p.String())
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}
