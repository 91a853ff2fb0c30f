package collect

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// grower finds out how much counters have grown. The zero value is ready.
type grower struct {
	back int               // counters that have become smaller
	none map[string]uint64 // the growth of an idle namespace, of which there are many: they share it
}

// growth gives the later reading of a namespace with how much its counters have grown since the earlier. Neither reading is changed.
func (w *grower) growth(earlier, later *facts.Namespace) facts.Namespace {
	g := *later
	grown := func(was, is uint64) *uint64 {
		if is < was {
			w.back++
		}
		return delta(was, is)
	}
	g.Links = slices.Clone(later.Links)
	links := index(earlier.Links)
	for i := range g.Links {
		if l, was := &g.Links[i], links[g.Links[i].Index]; was != nil && sameLink(l, was) {
			l.DeltaRx, l.DeltaTx = grown(was.RxDropped, l.RxDropped), grown(was.TxDropped, l.TxDropped)
		}
	}
	if earlier.Counters != nil && later.Counters != nil && earlier.Counters != later.Counters {
		g.Counters = &facts.Counters{Total: later.Counters.Total, Delta: w.mapGrowth(earlier.Counters.Total, later.Counters.Total)}
	}
	if later.Softnet != nil && earlier.Softnet != nil {
		s := *later.Softnet
		s.DeltaDropped = grown(earlier.Softnet.Dropped, s.Dropped)
		g.Softnet = &s
	}
	if later.Conntrack != nil && earlier.Conntrack != nil {
		c := *later.Conntrack
		c.Delta = w.mapGrowth(earlier.Conntrack.Stats, c.Stats)
		g.Conntrack = &c
	}
	drops := make(map[netip.AddrPort]uint64, len(earlier.UDPSockets))
	for _, u := range earlier.UDPSockets {
		drops[u.Local] = u.Drops
	}
	g.UDPSockets = slices.Clone(later.UDPSockets)
	for i := range g.UDPSockets {
		// A socket that was closed and opened again at the same address begins at 0, which is no reset of a counter.
		if was, ok := drops[g.UDPSockets[i].Local]; ok {
			g.UDPSockets[i].DeltaDrops = delta(was, g.UDPSockets[i].Drops)
		}
	}
	g.Tables = slices.Clone(later.Tables)
	for i := range g.Tables {
		if was := earlier.Table(g.Tables[i].Backend, g.Tables[i].Family, g.Tables[i].Name); was != nil {
			g.Tables[i].Chains = chainGrowth(was.Chains, g.Tables[i].Chains)
		}
	}
	return g
}

// mapGrowth has no entry for a counter that became smaller.
func (w *grower) mapGrowth(earlier, later map[string]uint64) map[string]uint64 {
	idle := len(earlier) == len(later) && len(w.none) == len(earlier)
	for name, was := range earlier {
		is, ok := later[name]
		if ok && is < was && !falls(name) {
			w.back++
		}
		if idle {
			_, known := w.none[name]
			idle = ok && known && is == was
		}
	}
	if idle {
		return w.none
	}
	grown := mapDelta(earlier, later)
	if w.none == nil && len(grown) == len(earlier) && !slices.ContainsFunc(slices.Collect(maps.Values(grown)), func(d uint64) bool { return d > 0 }) {
		w.none = grown
	}
	return grown
}

// falls tells the values among the counters of snmp that are none: they are settings, or count what there is now.
func falls(name string) bool {
	switch name {
	case "Ip.Forwarding", "Ip.DefaultTTL", "Tcp.RtoAlgorithm", "Tcp.RtoMin", "Tcp.RtoMax", "Tcp.MaxConn", "Tcp.CurrEstab":
		return true
	}
	return false
}

// chainGrowth does not count chains that became smaller: whoever writes a table anew starts its counters anew.
func chainGrowth(earlier, later []facts.Chain) []facts.Chain {
	was := make(map[string]*facts.Chain, len(earlier))
	for i := range earlier {
		was[earlier[i].Name] = &earlier[i]
	}
	out := slices.Clone(later)
	for i := range out {
		if e := was[out[i].Name]; e != nil && e.Packets != nil && out[i].Packets != nil {
			out[i].DeltaPackets = delta(*e.Packets, *out[i].Packets)
		}
	}
	return out
}

// fillGrowth is a copy of the later fill with its growth.
func fillGrowth(earlier, later *facts.NeighbourTable) facts.NeighbourTable {
	one := func(was, is *facts.TableFill) *facts.TableFill {
		if was == nil || is == nil {
			return is
		}
		f := *is
		f.DeltaTableFulls = delta(was.TableFulls, is.TableFulls)
		return &f
	}
	return facts.NeighbourTable{ARP: one(earlier.ARP, later.ARP), NDP: one(earlier.NDP, later.NDP)}
}

// linkGrowth is a copy of the links with the drops and their growth of a reading.
func linkGrowth(links, reading []facts.Link) []facts.Link {
	read := index(reading)
	out := slices.Clone(links)
	for i := range out {
		l := &out[i]
		l.DeltaRx, l.DeltaTx = nil, nil
		if r := read[l.Index]; r != nil && sameLink(l, r) {
			l.RxDropped, l.TxDropped, l.DeltaRx, l.DeltaTx = r.RxDropped, r.TxDropped, r.DeltaRx, r.DeltaTx
		}
	}
	return out
}
