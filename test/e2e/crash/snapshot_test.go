package crash

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/repair"
)

// TestSnapshotIsEqual makes every fix there is, undoes all, and compares netmend's own full snapshot of the node with the first one. What differs for other
// reasons than the fixes is left out: times, counters, and how long addresses and routes are valid.
func TestSnapshotIsEqual(t *testing.T) {
	n := newNode(t)
	first := n.collect()
	m, err := repair.Open(context.Background(), repair.Options{Kernel: repair.HostKernel(n.host), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, p := range n.fixes {
		if _, err := m.Apply(context.Background(), p); err != nil {
			t.Fatal(err)
		}
	}
	if cmp.Equal(first, n.collect(), still()...) {
		t.Error("the fixes changed nothing that the snapshot shows")
	}
	undone, err := m.UndoAll(context.Background())
	if err != nil || len(undone) != len(n.fixes) {
		t.Fatalf("UndoAll() = %d, %v; want %d", len(undone), err, len(n.fixes))
	}
	if diff := cmp.Diff(first, n.collect(), still()...); diff != "" {
		t.Errorf("after fix and undo of everything (-want +got):\n%s", diff)
	}
}

func (n *node) collect() *facts.Snapshot {
	n.t.Helper()
	h, err := host.Open(host.Options{NetNS: n.Path})
	if err != nil {
		n.t.Fatal(err)
	}
	defer h.Close()
	kinds := slices.DeleteFunc(collect.All(), func(k facts.Kind) bool { return k == facts.KindPods }) // the machine's other namespaces are none of this node's
	s, err := collect.Collect(context.Background(), h, collect.Options{Kinds: kinds})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, k := range []facts.Kind{facts.KindLinks, facts.KindFeatures, facts.KindSysctls, facts.KindNFTables} {
		if !s.Has(k) {
			n.t.Fatalf("the snapshot has no %s: %s", k, s.Missing[k])
		}
	}
	return s
}

func still() []cmp.Option {
	return []cmp.Option{
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
		cmpopts.IgnoreFields(facts.Snapshot{}, "Taken", "NeighbourTable", "Agents"),
		cmpopts.IgnoreFields(facts.Namespace{}, "Counters", "Softnet", "UDPSockets", "Listeners", "Conntrack"),
		cmpopts.IgnoreFields(facts.Chain{}, "Packets"), cmpopts.IgnoreFields(facts.FilterRule{}, "Packets"),
		cmpopts.IgnoreFields(facts.Address{}, "Valid", "Preferred"), cmpopts.IgnoreFields(facts.Reservation{}, "Age"),
		cmpopts.IgnoreFields(facts.Link{}, "RxDropped", "TxDropped"),
	}
}
