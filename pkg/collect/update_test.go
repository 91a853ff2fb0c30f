package collect_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// settled are kinds that do not change while nobody changes them.
func settled() []facts.Kind {
	return []facts.Kind{
		facts.KindLinks, facts.KindTunnels, facts.KindPodLinks, facts.KindAddresses, facts.KindRoutes, facts.KindRules, facts.KindFDB, facts.KindFeatures,
		facts.KindNFTables, facts.KindLegacy, facts.KindPods,
	}
}

func updated(t *testing.T, h *host.Host, prev *facts.Snapshot, o collect.UpdateOptions) *facts.Snapshot {
	t.Helper()
	s, stale, err := collect.Update(context.Background(), h, prev, o)
	if err != nil || len(stale) > 0 {
		t.Fatalf("Update() = stale %v, %v", stale, err)
	}
	return s
}

func document(t *testing.T, s *facts.Snapshot) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// steady is the node's namespace without what changes by itself.
func steady(t *testing.T, s *facts.Snapshot) string {
	t.Helper()
	c, err := s.Clone()
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Host.Links {
		c.Host.Links[i].RxDropped, c.Host.Links[i].TxDropped = 0, 0
	}
	for i := range c.Host.Tables {
		for j := range c.Host.Tables[i].Chains {
			chain := &c.Host.Tables[i].Chains[j]
			chain.Packets = nil
			for k := range chain.Rules {
				chain.Rules[k].Packets = nil
			}
		}
	}
	c.Host.FDB = slices.DeleteFunc(c.Host.FDB, func(e facts.FDBEntry) bool { return e.State != "permanent" }) // the bridge learns
	return document(t, &facts.Snapshot{Host: c.Host})
}

// TestUpdate changes a node step by step: what is read again of what each step has changed makes the snapshot that a reading of everything gives.
func TestUpdate(t *testing.T) {
	t.Parallel()
	node := newSpace(t, "update")
	node.shell("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1") // its addresses come when they will
	node.batch("link add cni0 type bridge", "link set cni0 up", "addr add 10.0.0.1/24 dev cni0 nodad")
	node.bridgePod(1)
	leaving := node.bridgePod(2)
	node.shell("for l in cni0 veth1 veth2; do until ip link show $l | grep -q 'state UP'; do sleep 0.02; done; done") // a link's state follows later
	h := node.open()
	options := collect.Options{Kinds: settled()}
	s := collected(t, h, options)
	if len(s.Pods) != 2 {
		t.Fatalf("%d pods; want 2", len(s.Pods))
	}
	links := []facts.Kind{facts.KindLinks, facts.KindFeatures, facts.KindFDB, facts.KindAddresses, facts.KindRoutes}
	for _, c := range []struct {
		name   string
		change func()
		again  collect.UpdateOptions
	}{
		{"nothing", func() {}, collect.UpdateOptions{}},
		{"a tunnel", func() {
			node.batch("link add vx type vxlan id 7 dstport 5555 local 10.0.0.1 dev cni0", "link set vx up")
		}, collect.UpdateOptions{Kinds: links}},
		{"a feature", func() {
			node.must("ip", "netns", "exec", node.name, "ethtool", "-K", "vx", "tx-checksum-ip-generic", "off")
		},
			collect.UpdateOptions{Kinds: []facts.Kind{facts.KindFeatures}}},
		{"an MTU", func() { node.batch("link set vx mtu 1300") }, collect.UpdateOptions{Kinds: []facts.Kind{facts.KindLinks}}},
		{"an address and a rule", func() { node.batch("addr add 10.0.1.1/24 dev vx", "rule add from 10.0.1.1 table 100") },
			collect.UpdateOptions{Kinds: []facts.Kind{facts.KindAddresses, facts.KindRoutes, facts.KindRules}}},
		{"a pod that comes", func() { node.bridgePod(3) }, collect.UpdateOptions{Kinds: links, Pods: true}},
		{"a pod that goes", func() {
			leaving.must("ip", "netns", "del", leaving.name)
			node.shell("while ip link show veth2 >/dev/null 2>&1; do sleep 0.02; done") // the end of a namespace takes its time
		}, collect.UpdateOptions{Kinds: links, Pods: true}},
		{"tables", func() { node.shell("iptables-nft -w -P FORWARD DROP; iptables-legacy -w -P INPUT DROP") },
			collect.UpdateOptions{Kinds: []facts.Kind{facts.KindNFTables, facts.KindLegacy}}},
		{"tables of one backend", func() {
			node.shell("nft add table ip x; nft add chain ip x y '{ type filter hook input priority 0; }'")
		},
			collect.UpdateOptions{Kinds: []facts.Kind{facts.KindNFTables}}},
	} {
		c.change()
		before := document(t, s)
		var next *facts.Snapshot
		diff := "nothing"
		for end := time.Now().Add(20 * time.Second); diff != "" && time.Now().Before(end); {
			next = updated(t, h, s, c.again)
			fresh := collected(t, h, options)
			diff = cmp.Diff(steady(t, fresh), steady(t, next))
			if len(fresh.Pods) != len(next.Pods) {
				diff += fmt.Sprintf("%d pods; want %d", len(next.Pods), len(fresh.Pods))
			}
		}
		if diff != "" {
			t.Errorf("%s: the node (-fresh +updated):\n%s", c.name, diff)
		}
		if after := document(t, s); after != before {
			t.Errorf("%s: the earlier snapshot has changed:\n%s", c.name, cmp.Diff(before, after))
		}
		s = next
	}
}

// TestUpdatePod changes a pod from within, which is seen only where it is asked for.
func TestUpdatePod(t *testing.T) {
	t.Parallel()
	node := newSpace(t, "updatepod")
	node.batch("link add cni0 type bridge", "link set cni0 up")
	pod := node.bridgePod(1)
	h := node.open()
	s := collected(t, h, collect.Options{Kinds: append(settled(), facts.KindSysctls, facts.KindCounters)})
	if len(s.Pods) != 1 {
		t.Fatalf("%d pods; want 1", len(s.Pods))
	}
	pod.batch("link set eth0 mtu 1400")
	mtu := func(s *facts.Snapshot) int { return s.Pods[0].LinkNamed("eth0").MTU }
	kept := updated(t, h, s, collect.UpdateOptions{Pods: true})
	if got := mtu(kept); got != 1500 {
		t.Errorf("a pod that stayed has MTU %d; want 1500, as it was read", got)
	}
	again := updated(t, h, kept, collect.UpdateOptions{Again: []uint64{s.Pods[0].Inode}})
	if got := mtu(again); got != 1400 || mtu(kept) != 1500 {
		t.Errorf("a pod that was read again has MTU %d, and before %d; want 1400 and 1500", got, mtu(kept))
	}
	pod.must("ip", "netns", "del", pod.name)
	if left := updated(t, h, again, collect.UpdateOptions{Again: []uint64{s.Pods[0].Inode}}); len(left.Pods) != 0 {
		t.Errorf("a pod that is gone is still there: %+v", left.Pods)
	}
}

// TestReadings takes the counters of a node and a pod twice.
func TestReadings(t *testing.T) {
	t.Parallel()
	node := newSpace(t, "readings")
	node.batch("link add cni0 type bridge", "link set cni0 up", "addr add 10.0.0.1/24 dev cni0 nodad")
	pod := node.bridgePod(1)
	h := node.open()
	ctx := context.Background()
	s := collected(t, h, collect.Options{Kinds: []facts.Kind{
		facts.KindLinks, facts.KindAddresses, facts.KindCounters, facts.KindSockets, facts.KindSoftnet, facts.KindPods, facts.KindNFTables,
	}})
	before := document(t, s)
	first, err := collect.Read(ctx, h, s, collect.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.must("ip", "netns", "exec", pod.name, "bash", "-c", "for i in 1 2 3; do echo >/dev/udp/127.0.0.1/9; done")
	second, err := collect.Read(ctx, h, s, collect.ReadOptions{Without: []facts.Kind{facts.KindNFTables}, Earlier: first})
	if err != nil {
		t.Fatal(err)
	}
	w, back := second.Since(first, s)
	if document(t, s) != before {
		t.Error("the snapshot has changed")
	}
	if back != 0 || w.Window == nil || w.Window.Seconds <= 0 {
		t.Errorf("window %+v, %d counters went back", w.Window, back)
	}
	if w.Host.Counters == nil || w.Host.Counters.Delta == nil || w.Host.Softnet.DeltaDropped == nil {
		t.Errorf("the node's counters have no growth: %+v", w.Host.Softnet)
	}
	if len(w.Pods) != 1 || w.Pods[0].Counters.Delta["Udp.NoPorts"] != 3 {
		t.Errorf("the pod's counters have grown by %v; want 3 Udp.NoPorts", w.Pods[0].Counters.Delta["Udp.NoPorts"])
	}
	if !slices.ContainsFunc(w.Host.Links, func(l facts.Link) bool { return l.DeltaRx != nil }) {
		t.Error("no link has growth")
	}
	// A pod that has counted nothing since has the counters that it had, or those of them that are asked for.
	third, err := collect.Read(ctx, h, s, collect.ReadOptions{Pods: host.NewCounterNames([]string{"Udp.NoPorts", "Udp.Else"})})
	if err != nil {
		t.Fatal(err)
	}
	still, back := third.Since(second, s)
	if c := still.Pods[0].Counters; back != 0 || c.Delta == nil || c.Delta["Udp.NoPorts"] != 0 || c.Total["Udp.NoPorts"] != 3 {
		t.Errorf("an idle pod's counters: %d Udp.NoPorts, grown by %v, %d went back; want 3 and 0", c.Total["Udp.NoPorts"], c.Delta["Udp.NoPorts"], back)
	} else if len(c.Total) != 1 || len(c.Delta) != 1 {
		t.Errorf("an idle pod's counters are %v, grown by %v; want Udp.NoPorts alone", c.Total, c.Delta)
	}
	// Turned round, what has grown has gone back.
	if _, back := first.Since(second, s); back == 0 {
		t.Error("the earlier reading after the later: no counter went back")
	}
	// What is read of links later keeps the growth, and what is read of the counters too.
	later := updated(t, h, w, collect.UpdateOptions{Kinds: []facts.Kind{facts.KindLinks, facts.KindCounters}, Pods: true})
	if later.Window == nil || later.Host.Counters.Delta == nil || later.Pods[0].Counters.Delta == nil {
		t.Errorf("the growth is lost: %s", fmt.Sprint(later.Window))
	}
}
