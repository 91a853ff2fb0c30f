package agent

import (
	"slices"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// quickKinds are read by the loop itself: they cost a millisecond on a node with hundreds of pods.
func quickKinds() []facts.Kind {
	return []facts.Kind{
		facts.KindLinks, facts.KindTunnels, facts.KindPodLinks, facts.KindAddresses, facts.KindRoutes, facts.KindRules, facts.KindFDB, facts.KindFeatures,
	}
}

func quick(k facts.Kind) bool { return slices.Contains(quickKinds(), k) }

// also adds the kinds that change with others without an event of their own: forwarding entries of a tunnel come after its link, each link has values in
// /proc/sys, and what carries a Service is found in the packet filter.
func also(kinds []facts.Kind) []facts.Kind {
	out := slices.Clone(kinds)
	add := func(with ...facts.Kind) {
		for _, k := range with {
			if !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	for _, k := range kinds {
		switch k {
		case facts.KindLinks, facts.KindTunnels, facts.KindPodLinks:
			add(facts.KindLinks, facts.KindFeatures, facts.KindFDB)
		case facts.KindNFTables, facts.KindLegacy, facts.KindIPVS:
			add(facts.KindServiceVIPs)
		case facts.KindSysctlFiles:
			add(facts.KindSysctls)
		}
	}
	return out
}

// told says whether the kernel tells of each change of a kind, so that what was read of it holds until then. Packet filters of the legacy backend are not
// among them: nobody tells of these.
func told(k facts.Kind) bool {
	switch k {
	case facts.KindNFTables, facts.KindServiceVIPs, facts.KindProxy, facts.KindCNIConfig, facts.KindPods:
		return true
	}
	return quick(k)
}

// counted are the kinds that a reading of the counters gives whole.
func counted(without []facts.Kind) []facts.Kind {
	all := []facts.Kind{
		facts.KindCounters, facts.KindSoftnet, facts.KindSockets, facts.KindConntrack, facts.KindNFTables, facts.KindLegacy,
		facts.KindNeighbourTable,
	}
	return slices.DeleteFunc(all, func(k facts.Kind) bool { return slices.Contains(without, k) })
}

// uses gives the kinds by which a check can come to another judgement.
func uses(c *check.Check) []facts.Kind { return audit.Kinds([]*check.Check{c}) }

// device says whether a check judges tunnels by what the loop reads itself: it is cheap, and its mending is urgent.
func device(c *check.Check) bool {
	return slices.Contains(c.Needs, facts.KindTunnels)
}

// asked are the kinds that the daemon reads: what its checks use, and what tells who sets a value back.
func asked(checks []*check.Check) []facts.Kind {
	kinds := audit.Kinds(checks)
	for _, k := range []facts.Kind{facts.KindAgents, facts.KindSysctlFiles} {
		if !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}
