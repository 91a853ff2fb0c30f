package collect

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

func TestDeltas(t *testing.T) {
	dns, gone := netip.MustParseAddrPort("10.0.0.1:53"), netip.MustParseAddrPort("10.0.0.1:54")
	first := facts.Namespace{
		Links: []facts.Link{
			{Index: 1, Name: "a", RxDropped: 5, TxDropped: 1<<64 - 1}, {Index: 2, Name: "b", RxDropped: 5}, {Index: 3, Name: "c", RxDropped: 5},
		},
		Counters:   &facts.Counters{Total: map[string]uint64{"A": 1, "Back": 9, "Gone": 1, "Same": 4, "Largest": 1<<64 - 2}},
		Softnet:    &facts.Softnet{Dropped: 2},
		Conntrack:  &facts.Conntrack{Stats: map[string]uint64{"drop": 1}},
		UDPSockets: []facts.UDPSocket{{Local: dns, Drops: 3}, {Local: gone, Drops: 3}},
		Tables: []facts.Table{
			{Backend: facts.BackendLegacy, Family: "ip", Name: "filter", Chains: []facts.Chain{
				{Name: "FORWARD", Packets: new(uint64(7))}, {Name: "INPUT"}, {Name: "OUTPUT", Packets: new(uint64(7))},
			}},
			{Backend: facts.BackendNFT, Family: "ip", Name: "filter", Chains: []facts.Chain{{Name: "FORWARD", Packets: new(uint64(1))}}},
		},
	}
	later := facts.Namespace{
		Links: []facts.Link{
			{Index: 3, Name: "other", RxDropped: 9}, {Index: 1, Name: "a", RxDropped: 8}, {Index: 4, Name: "b", RxDropped: 5},
		},
		Counters:   &facts.Counters{Total: map[string]uint64{"A": 4, "Back": 8, "Same": 4, "Largest": 1<<64 - 1, "New": 1}},
		Softnet:    &facts.Softnet{Dropped: 5},
		Conntrack:  &facts.Conntrack{Stats: map[string]uint64{"drop": 6, "invalid": 1}},
		UDPSockets: []facts.UDPSocket{{Local: dns, Drops: 10}},
		Tables: []facts.Table{{Backend: facts.BackendLegacy, Family: "ip", Name: "filter", Chains: []facts.Chain{
			{Name: "FORWARD", Packets: new(uint64(9))}, {Name: "INPUT", Packets: new(uint64(9))},
		}}},
	}
	want := first
	deltas(&first, &later)
	want.Links = []facts.Link{
		{Index: 1, Name: "a", RxDropped: 5, TxDropped: 1<<64 - 1, DeltaRx: new(uint64(3))}, {Index: 2, Name: "b", RxDropped: 5}, {Index: 3, Name: "c", RxDropped: 5},
	}
	want.Counters = &facts.Counters{Total: first.Counters.Total, Delta: map[string]uint64{"A": 3, "Same": 0, "Largest": 1}}
	want.Softnet = &facts.Softnet{Dropped: 2, DeltaDropped: new(uint64(3))}
	want.Conntrack = &facts.Conntrack{Stats: map[string]uint64{"drop": 1}, Delta: map[string]uint64{"drop": 5}}
	want.UDPSockets = []facts.UDPSocket{{Local: dns, Drops: 3, DeltaDrops: new(uint64(7))}, {Local: gone, Drops: 3}}
	want.Tables = []facts.Table{
		{Backend: facts.BackendLegacy, Family: "ip", Name: "filter", Chains: []facts.Chain{
			{Name: "FORWARD", Packets: new(uint64(7)), DeltaPackets: new(uint64(2))}, {Name: "INPUT"}, {Name: "OUTPUT", Packets: new(uint64(7))},
		}},
		{Backend: facts.BackendNFT, Family: "ip", Name: "filter", Chains: []facts.Chain{{Name: "FORWARD", Packets: new(uint64(1))}}},
	}
	if d := cmp.Diff(want, first, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Errorf("deltas (-want +got):\n%s", d)
	}
}

func TestDeltasOfNothing(t *testing.T) {
	var first, later facts.Namespace
	deltas(&first, &facts.Namespace{Counters: &facts.Counters{}, Softnet: &facts.Softnet{}, Conntrack: &facts.Conntrack{}})
	first = facts.Namespace{Counters: &facts.Counters{Total: map[string]uint64{"A": 1}}, Softnet: &facts.Softnet{}, Conntrack: &facts.Conntrack{}}
	deltas(&first, &later)
	if first.Counters.Delta != nil || first.Softnet.DeltaDropped != nil || first.Conntrack.Delta != nil {
		t.Errorf("a second sample without the counters gave deltas: %+v", first)
	}
}

func TestNeighbourDeltas(t *testing.T) {
	first := &facts.NeighbourTable{ARP: &facts.TableFill{TableFulls: 3}, NDP: &facts.TableFill{TableFulls: 3}}
	neighbourDeltas(first, &facts.NeighbourTable{ARP: &facts.TableFill{TableFulls: 5}})
	if d := first.ARP.DeltaTableFulls; d == nil || *d != 2 {
		t.Errorf("delta of the ARP table = %v; want 2", d)
	}
	if first.NDP.DeltaTableFulls != nil {
		t.Error("a delta of the NDP table, which the second sample does not have")
	}
}
