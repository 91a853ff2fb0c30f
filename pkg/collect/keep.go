package collect

import (
	"net/netip"

	"github.com/netmend/netmend/pkg/facts"
)

// The functions of this file give what was read later with the deltas of what was read earlier, where it has none of its own. What was read later belongs to
// the caller; what was read earlier is never changed.

// keepPods is for pods that were read anew.
func keepPods(earlier, later []facts.Namespace) []facts.Namespace {
	was := make(map[uint64]*facts.Namespace, len(earlier))
	for i := range earlier {
		was[earlier[i].Inode] = &earlier[i]
	}
	for i := range later {
		p := &later[i]
		e := was[p.Inode]
		if e == nil || p.Counters == e.Counters && p.Counters != nil { // it is the same reading
			continue
		}
		p.Counters, p.UDPSockets = keepCounters(e.Counters, p.Counters), keepSockets(e.UDPSockets, p.UDPSockets)
		links := index(e.Links)
		for j := range p.Links {
			if l, e := &p.Links[j], links[p.Links[j].Index]; l.DeltaRx == nil && l.DeltaTx == nil && e != nil && sameLink(l, e) {
				l.DeltaRx, l.DeltaTx = e.DeltaRx, e.DeltaTx
			}
		}
	}
	return later
}

func keepCounters(earlier, later *facts.Counters) *facts.Counters {
	if earlier != nil && later != nil && later.Delta == nil {
		later.Delta = earlier.Delta
	}
	return later
}

func keepSoftnet(earlier, later *facts.Softnet) *facts.Softnet {
	if earlier != nil && later != nil && later.DeltaDropped == nil {
		later.DeltaDropped = earlier.DeltaDropped
	}
	return later
}

func keepConntrack(earlier, later *facts.Conntrack) *facts.Conntrack {
	if earlier != nil && later != nil && later.Delta == nil {
		later.Delta = earlier.Delta
	}
	return later
}

func keepFill(earlier, later *facts.NeighbourTable) {
	if earlier == nil || later == nil {
		return
	}
	for _, f := range [][2]*facts.TableFill{{earlier.ARP, later.ARP}, {earlier.NDP, later.NDP}} {
		if f[0] != nil && f[1] != nil && f[1].DeltaTableFulls == nil {
			f[1].DeltaTableFulls = f[0].DeltaTableFulls
		}
	}
}

func keepSockets(earlier, later []facts.UDPSocket) []facts.UDPSocket {
	deltas := make(map[netip.AddrPort]*uint64, len(earlier))
	for _, u := range earlier {
		if u.DeltaDrops != nil {
			deltas[u.Local] = u.DeltaDrops
		}
	}
	for i := range later {
		if later[i].DeltaDrops == nil {
			later[i].DeltaDrops = deltas[later[i].Local]
		}
	}
	return later
}

// keepChains is for a table of what was read later; one that is the earlier's own is left as it is.
func keepChains(earlier *facts.Namespace, t *facts.Table) {
	e := earlier.Table(t.Backend, t.Family, t.Name)
	if e == nil || len(e.Chains) > 0 && len(t.Chains) > 0 && &e.Chains[0] == &t.Chains[0] {
		return
	}
	deltas := map[string]*uint64{}
	for i := range e.Chains {
		if d := e.Chains[i].DeltaPackets; d != nil {
			deltas[e.Chains[i].Name] = d
		}
	}
	for i := range t.Chains {
		if c := &t.Chains[i]; c.DeltaPackets == nil {
			c.DeltaPackets = deltas[c.Name]
		}
	}
}
