package collect

import (
	"net/netip"
	"reflect"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// sampledKinds are the kinds that hold counters.
func sampledKinds() map[facts.Kind]bool {
	return map[facts.Kind]bool{
		facts.KindLinks: true, facts.KindTunnels: true, facts.KindPodLinks: true, facts.KindCounters: true, facts.KindSoftnet: true,
		facts.KindSockets: true, facts.KindConntrack: true, facts.KindNFTables: true, facts.KindLegacy: true,
	}
}

// sampleAgain reads the kinds that hold counters once more, those of them that the first sample has.
func (c *collection) sampleAgain(n *host.NS, first *facts.Namespace, has func(facts.Kind) bool) facts.Namespace {
	again := facts.Namespace{Inode: first.Inode}
	sampled := sampledKinds()
	c.read(n, &again, &again.Missing, func(k facts.Kind) bool { return sampled[k] && has(k) })
	return again
}

// deltas turns two samples of a namespace into one. The totals stay those of the first, as everything else does. A counter that went back or is not in
// both has no delta.
func deltas(first, later *facts.Namespace) {
	linkDeltas(first.Links, later.Links)
	if first.Counters != nil && later.Counters != nil {
		first.Counters.Delta = mapDelta(first.Counters.Total, later.Counters.Total)
	}
	if first.Softnet != nil && later.Softnet != nil {
		first.Softnet.DeltaDropped = delta(first.Softnet.Dropped, later.Softnet.Dropped)
	}
	if first.Conntrack != nil && later.Conntrack != nil {
		first.Conntrack.Delta = mapDelta(first.Conntrack.Stats, later.Conntrack.Stats)
	}
	socketDeltas(first.UDPSockets, later.UDPSockets)
	for i := range first.Tables {
		t := &first.Tables[i]
		if l := later.Table(t.Backend, t.Family, t.Name); l != nil {
			chainDeltas(t.Chains, l.Chains)
		}
	}
}

// delta is the growth of a counter; nil where it went back.
func delta(first, later uint64) *uint64 {
	if later < first {
		return nil
	}
	return new(later - first)
}

func mapDelta(first, later map[string]uint64) map[string]uint64 {
	all := make(map[string]uint64, min(len(first), len(later)))
	for name, was := range first {
		if is, ok := later[name]; ok && is >= was {
			all[name] = is - was
		}
	}
	return all
}

func linkDeltas(first, later []facts.Link) {
	index := make(map[int]*facts.Link, len(later))
	for i := range later {
		index[later[i].Index] = &later[i]
	}
	for i := range first {
		l := &first[i]
		if is := index[l.Index]; is != nil && is.Name == l.Name && is.Kind == l.Kind {
			l.DeltaRx, l.DeltaTx = delta(l.RxDropped, is.RxDropped), delta(l.TxDropped, is.TxDropped)
		}
	}
}

func socketDeltas(first, later []facts.UDPSocket) {
	drops := make(map[netip.AddrPort]uint64, len(later))
	for _, s := range later {
		drops[s.Local] = s.Drops
	}
	for i := range first {
		if is, ok := drops[first[i].Local]; ok {
			first[i].DeltaDrops = delta(first[i].Drops, is)
		}
	}
}

func chainDeltas(first, later []facts.Chain) {
	index := make(map[string]*facts.Chain, len(later))
	for i := range later {
		index[later[i].Name] = &later[i]
	}
	for i := range first {
		c := &first[i]
		is := index[c.Name]
		if is == nil {
			continue
		}
		if c.Packets != nil && is.Packets != nil {
			c.DeltaPackets = delta(*c.Packets, *is.Packets)
		}
		ruleDeltas(c.Rules, is.Rules)
	}
}

// ruleDeltas compares the counters of a chain whose rules are the same as before: a rule has no name but its place.
func ruleDeltas(first, later []facts.FilterRule) {
	same := func(a, b facts.FilterRule) bool {
		a.Packets, b.Packets = nil, nil
		return reflect.DeepEqual(a, b)
	}
	if !slices.EqualFunc(first, later, same) {
		return
	}
	for i := range first {
		if was, is := first[i].Packets, later[i].Packets; was != nil && is != nil {
			first[i].DeltaPackets = delta(*was, *is)
		}
	}
}

func neighbourDeltas(first, later *facts.NeighbourTable) {
	for _, f := range [][2]*facts.TableFill{{first.ARP, later.ARP}, {first.NDP, later.NDP}} {
		if f[0] != nil && f[1] != nil {
			f[0].DeltaTableFulls = delta(f[0].TableFulls, f[1].TableFulls)
		}
	}
}
