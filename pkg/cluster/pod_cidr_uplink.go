package cluster

import (
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/fix"
)

// inUplinks finds nodes' addresses and networks within ranges of pods.
func (v *view) inUplinks(all []podRange) (out []Finding) {
	ids := map[netip.Addr]string{}
	for name, n := range v.nodes {
		for _, a := range n.identities() {
			ids[a] = name
		}
	}
	addresses := addressesIn(ids)
	networks := v.uplinkNetworks()
	seen := map[netip.Prefix]bool{}
	for _, r := range all {
		if seen[r.prefix] || !r.tunnel && !(r.spec && r.reported) {
			continue
		}
		seen[r.prefix] = true
		var held []string // by a range that is sorted: its addresses stand together
		from, _ := slices.BinarySearchFunc(addresses, r.prefix.Addr(), netip.Addr.Compare)
		for _, a := range addresses[from:] {
			if !r.prefix.Contains(a) {
				break
			}
			held = append(held, ids[a])
		}
		if len(held) > 0 {
			out = append(out, v.nodeInPods(r, held))
			continue
		}
		for _, p := range networks.order {
			if p.Overlaps(r.prefix) {
				out = append(out, networkInPods(r, p, networks.nodes[p]))
				break
			}
		}
	}
	return out
}

func (v *view) nodeInPods(r podRange, held []string) Finding {
	severity := check.Warning
	if r.tunnel {
		severity = check.Critical
	}
	slices.Sort(held)
	held = slices.Compact(held)
	address := v.of(held[0]).identities()[0]
	for _, a := range v.of(held[0]).identities() {
		if r.prefix.Contains(a) {
			address = a
		}
	}
	f := finding(severity, r.prefix.String(), append([]string{r.node}, held...), "the address of %s lies in pod CIDR %s of %s: packets to the node go where those to pods do", list(held), r.prefix, r.node)
	f.prove("InternalIP of Node "+held[0], address.String(), "none of the pods'")
	f.prove("pod CIDR", r.prefix.String()+" ("+r.source()+")", "")
	f.Fixes = []fix.Fix{otherRange()}
	return f
}

func networkInPods(r podRange, p netip.Prefix, nodes []string) Finding {
	f := finding(check.Warning, r.prefix.String(), append([]string{r.node}, nodes...), "pod CIDR %s of %s overlaps with the network %s of %s: what is in both cannot be reached", r.prefix, r.node, p, list(nodes))
	f.prove("network of an uplink", p.String()+" on "+list(nodes), "none of the pods'")
	f.prove("pod CIDR", r.prefix.String()+" ("+r.source()+")", "")
	f.Fixes = []fix.Fix{otherRange()}
	return f
}

func otherRange() fix.Fix {
	return fix.Fix{Title: "choose a range for pods that no network of the nodes has a part of", Cost: "a new range for a cluster means new addresses for all pods", Advice: []string{
		"kubectl cluster-info dump | grep -m1 -- --cluster-cidr",
		"kubectl get nodes -o custom-columns=NAME:.metadata.name,PODCIDRS:.spec.podCIDRs",
	}}
}

// uplinkNetworks are the networks of the nodes' uplinks, with who has them.
type uplinkNetworks struct {
	order []netip.Prefix
	nodes map[netip.Prefix][]string
}

func (v *view) uplinkNetworks() uplinkNetworks {
	u := uplinkNetworks{nodes: map[netip.Prefix][]string{}}
	for _, r := range v.current {
		for _, link := range r.Status.Network.Uplinks {
			for _, p := range link.Addresses {
				m := p.Masked()
				if p.Bits() == p.Addr().BitLen() || p.Bits() == 0 || !p.Addr().IsGlobalUnicast() || slices.Contains(u.nodes[m], r.Metadata.Name) {
					continue
				}
				if u.nodes[m] == nil {
					u.order = append(u.order, m)
				}
				u.nodes[m] = append(u.nodes[m], r.Metadata.Name)
			}
		}
	}
	return u
}
