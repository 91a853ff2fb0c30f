package checks

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// networkLeftover is what one network has left on the node.
type networkLeftover struct {
	network
	links   []*facts.Link
	routes  []string        // over the links, to the cluster's pods, and the ones that the kernel takes
	chains  []string        // with the table
	reached bool            // a base chain jumps to one of them
	nat     []string        // rules of reached chains that translate addresses of the cluster's pods
	tables  []string        // of nftables
	filters map[string]bool // the save programs of the backends that hold chains
}

func (left networkLeftover) any() bool { return len(left.links)+len(left.chains)+len(left.tables) > 0 }

// count says how much there is, for the message.
func (left networkLeftover) count() string {
	var parts []string
	for _, p := range []struct {
		n    int
		name string
	}{{len(left.links), "device"}, {len(left.chains), "chain"}, {len(left.tables), "table"}} {
		switch {
		case p.n == 1:
			parts = append(parts, "1 "+p.name)
		case p.n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", p.n, p.name))
		}
	}
	return strings.Join(parts, " and ")
}

// owns says whether a link has one of the network's names.
func (n network) owns(link string) bool {
	return slices.ContainsFunc(n.links, func(pattern string) bool {
		ok, err := path.Match(pattern, link)
		return err == nil && ok
	})
}

func leftovers(s *facts.Snapshot, n network) networkLeftover {
	left := networkLeftover{network: n, filters: map[string]bool{}}
	for i := range s.Host.Links {
		if l := &s.Host.Links[i]; n.owns(l.Name) {
			left.links = append(left.links, l)
		}
	}
	for i := range s.Host.Tables {
		left.table(s, &s.Host.Tables[i])
	}
	if l := s.Host.LinkNamed("tunl0"); n.name == "calico" && left.any() && l != nil && carries(s, l) {
		left.links = append(left.links, l)
	}
	left.routes = podRoutes(s, left.links)
	return left
}

// carries says whether a link has an address or routes of its own.
func carries(s *facts.Snapshot, l *facts.Link) bool {
	return globalAddress(&s.Host, l.Index, true).IsValid() ||
		slices.ContainsFunc(s.Host.Routes, func(r facts.Route) bool { return r.Link == l.Index && r.Type == "unicast" })
}

// table adds what a packet filter table holds of the network.
func (left *networkLeftover) table(s *facts.Snapshot, t *facts.Table) {
	if !t.IPTables() {
		if slices.ContainsFunc(left.network.tables, func(p string) bool { return strings.HasPrefix(t.Name, p) }) {
			left.tables = append(left.tables, t.Family+" "+t.Name)
		}
		return
	}
	mine := func(chain string) bool {
		return slices.ContainsFunc(left.network.chains, func(p string) bool { return strings.HasPrefix(chain, p) })
	}
	for i := range t.Chains {
		c := &t.Chains[i]
		if mine(c.Name) {
			left.chains = append(left.chains, t.Name+" "+c.Name)
			left.filters[program(t)] = true
			continue
		}
		for _, r := range c.Rules {
			if c.Hook != "" && mine(r.Target) {
				left.reached = true
				left.translations(s, t, r.Target)
			}
		}
	}
}

// translations adds those rules of a chain that translate addresses of pods.
func (left *networkLeftover) translations(s *facts.Snapshot, t *facts.Table, chain string) {
	c := t.Chain(chain)
	if c == nil || t.Name != "nat" {
		return
	}
	for _, r := range c.Rules {
		if (r.Verdict == "masquerade" || r.Verdict == "snat") && !r.Opaque && (ofPods(s, r.Src) || ofPods(s, r.Dst)) {
			left.nat = append(left.nat, strings.TrimSpace(fmt.Sprintf("%s: %s from %s to %s", chain, r.Verdict, anywhere(r.Src), anywhere(r.Dst))))
		}
	}
}

func anywhere(prefix string) string {
	if prefix == "" {
		return "anywhere"
	}
	return prefix
}

// ofPods says whether a rule's prefix, which may be negated or empty, is one of the cluster's pods.
func ofPods(s *facts.Snapshot, prefix string) bool {
	p, err := netip.ParsePrefix(prefix)
	return err == nil && slices.ContainsFunc(podPrefixes(s), p.Overlaps)
}

// podPrefixes are the subnets that the cluster's pods now have, as far as they are known.
func podPrefixes(s *facts.Snapshot) []netip.Prefix {
	out := slices.Concat(s.Intent.PodCIDRs, s.Intent.NodePodCIDR)
	f := running(s.CNI)
	for _, p := range f.Plugins {
		out = append(out, p.Subnets...)
		if p.Type == "flannel" && s.CNI.Flannel != nil {
			out = append(out, s.CNI.Flannel.Network)
		}
	}
	return slices.DeleteFunc(out, func(p netip.Prefix) bool { return !p.IsValid() || p.Bits() == 0 })
}

// podRoutes lists the routes over the links to the cluster's pods that the kernel takes.
func podRoutes(s *facts.Snapshot, links []*facts.Link) []string {
	pods := podPrefixes(s)
	var out []string
	for _, l := range links {
		for i := range s.Host.Routes {
			r := &s.Host.Routes[i]
			if r.Link != l.Index || r.Type != "unicast" || r.Dst.Bits() == 0 || !slices.ContainsFunc(pods, r.Dst.Overlaps) {
				continue
			}
			probe := r.Dst.Addr()
			if !r.Dst.IsSingleIP() {
				probe = probe.Next()
			}
			if taken := s.Host.RouteTo(probe, netip.Addr{}); taken == r {
				out = append(out, fmt.Sprintf("%s dev %s", r.Dst, l.Name))
			}
		}
	}
	return out
}

// pipeline is a shell's pipeline, run in the node's namespace where that is not the person's own.
func pipeline(s *facts.Snapshot, command string) string {
	if s.Host.Path == "" {
		return command
	}
	return fix.Shell(&s.Host, "sh", "-c", command)
}

// program is the name of the save program of a table's backend and family.
func program(t *facts.Table) string {
	name := "iptables-"
	if t.Family == "ip6" {
		name = "ip6tables-"
	}
	return name + t.Backend
}

func (left networkLeftover) reboot(s *facts.Snapshot) fix.Fix {
	node := fix.Shell(nil, nodeName(s))
	x := fix.Fix{
		Title: "drain the node and reboot it", Cost: "its pods move to other nodes",
		Advice: []string{drain(s)},
	}
	mine := func(p facts.CNIPlugin) bool { return slices.Contains(left.types, p.Type) }
	for _, f := range s.CNI.Files {
		if f.Name != running(s.CNI).Name && slices.ContainsFunc(f.Plugins, mine) {
			x.Advice = append(x.Advice, fix.Shell(nil, "mv", path.Join(s.CNI.Dir, f.Name), "/root/"+f.Name+".saved"))
		}
	}
	x.Advice = append(x.Advice, "reboot", "kubectl uncordon "+node)
	return x
}

// remove advises how to do without a reboot. A link that leads to a pod that still runs is left to the deletion of that pod.
func (left networkLeftover) remove(s *facts.Snapshot) fix.Fix {
	x := fix.Fix{Title: "remove what is left by hand", Cost: "what still uses it loses its network"}
	for _, l := range left.links {
		if pod, _ := podOf(s, l); pod == nil && l.Name != "tunl0" && len(x.Advice) < 20 {
			x.Advice = append(x.Advice, fix.Shell(&s.Host, "ip", "link", "delete", l.Name))
		} else if l.Name == "tunl0" { // the module's own device cannot be deleted
			x.Advice = append(x.Advice, fix.Shell(&s.Host, "ip", "addr", "flush", "dev", l.Name), fix.Shell(&s.Host, "ip", "link", "set", l.Name, "down"))
		}
	}
	for _, name := range []string{"iptables-legacy", "iptables-nft", "ip6tables-legacy", "ip6tables-nft"} {
		if left.filters[name] {
			pattern := fix.Shell(nil, strings.Join(left.network.chains, "|"))
			x.Advice = append(x.Advice, pipeline(s, fmt.Sprintf("%s-save | grep -vE %s | %s-restore", name, pattern, name)))
		}
	}
	for _, t := range left.tables {
		x.Advice = append(x.Advice, fix.Shell(&s.Host, append([]string{"nft", "delete", "table"}, strings.Fields(t)...)...))
	}
	if len(x.Advice) == 0 {
		x.Advice = []string{podsOf(s) + "  # delete those that the old network has made"}
	}
	return x
}
