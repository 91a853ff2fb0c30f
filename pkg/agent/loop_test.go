package agent

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/status"
)

func linkEvent(index int) host.Change {
	return host.Change{Kinds: []facts.Kind{facts.KindLinks, facts.KindFeatures}, Links: []int{index}, Cause: "link"}
}

// TestJoin mends at once what is there when the node joins, and is ready only then.
func TestJoin(t *testing.T) {
	n := newFakeNode()
	run(t, n, config.Fix, []*check.Check{tunnels(), sysctl()}, func(t *testing.T, a *Agent) {
		d := after(a, 100*time.Millisecond)
		if !d.Ready || d.State != status.Proven || len(d.Findings) > 0 {
			t.Errorf("ready %t, %s, %+v; want a proven node", d.Ready, d.State, d.Findings)
		}
		if got := n.value(offload, "flannel.1"); got != "off" {
			t.Errorf("the offload is %s", got)
		}
		if len(d.Resolved) != 1 || d.Resolved[0].By != "fix 1" || len(d.Fixes) != 1 || d.Fixes[0].State != string(repair.Verified) {
			t.Errorf("resolved %+v, fixes %+v; want one, by fix 1", d.Resolved, d.Fixes)
		}
	})
}

// TestAudit changes nothing, not even its own files, and says what it would do.
func TestAudit(t *testing.T) {
	n := newFakeNode()
	run(t, n, config.Audit, []*check.Check{tunnels()}, func(t *testing.T, a *Agent) {
		d := after(a, time.Hour)
		f := found(d, "tunnel-test")
		if f == nil || f.Plan != "would be mended in mode fix: switch it off" || d.State != status.Faulty || !d.Ready {
			t.Errorf("%+v; want what would be done", f)
		}
		if n.kernel.Sets != 0 {
			t.Errorf("%d writes", n.kernel.Sets)
		}
		if left, err := filepath.Glob(filepath.Join(a.o.Root, "*")); err != nil || len(left) > 0 {
			t.Errorf("files: %v %v", left, err)
		}
		if n.collect < 6 || n.collect > 8 {
			t.Errorf("%d audits of everything in an hour; want one each ten minutes", n.collect)
		}
	})
}

// TestSettle mends what comes later only when it has lasted.
func TestSettle(t *testing.T) {
	n := newFakeNode()
	run(t, n, config.Fix, []*check.Check{tunnels(), sysctl()}, func(t *testing.T, a *Agent) {
		after(a, time.Minute)
		n.change(func(k *repair.Fake) { k.Values[offload]["geneve1"] = "on" }, linkEvent(8))
		d := after(a, 9*time.Second)
		if f := found(d, "tunnel-test"); f == nil || f.Settled || n.value(offload, "geneve1") != "on" {
			t.Fatalf("after 9 s: %+v; want a finding that has not settled", f)
		}
		d = after(a, 2*time.Second)
		if f := found(d, "tunnel-test"); f != nil || n.value(offload, "geneve1") != "off" {
			t.Errorf("after 11 s: %+v; want it mended", f)
		}
		// One that goes by itself is never touched.
		sets := n.kernel.Sets
		n.change(func(k *repair.Fake) { k.Values[probing][""] = "1" }, host.Change{Kinds: []facts.Kind{facts.KindSysctls}})
		after(a, 5*time.Second)
		n.change(func(k *repair.Fake) { k.Values[probing][""] = "0" })
		if d := after(a, 15*time.Second); found(d, "sysctl-test") != nil || n.kernel.Sets != sets {
			t.Errorf("%d writes; want none", n.kernel.Sets-sets)
		}
	})
}

// TestAnew makes a tunnel anew, with another number: a fault that was proven before is mended in no time, also many times.
func TestAnew(t *testing.T) {
	n := newFakeNode()
	run(t, n, config.Fix, []*check.Check{tunnels()}, func(t *testing.T, a *Agent) {
		after(a, time.Minute)
		for i := range 10 {
			n.change(anew(100+i), linkEvent(99+i), linkEvent(100+i))
			after(a, time.Millisecond)
			if got := n.value(offload, "flannel.1"); got != "off" {
				t.Fatalf("tunnel %d: the offload is %s", i, got)
			}
			if i == 9 {
				d := after(a, time.Second)
				if len(d.Findings) > 0 || len(d.Resolved) == 0 || d.Resolved[0].By != "fix 11" {
					t.Errorf("findings %+v, resolved %+v", d.Findings, d.Resolved)
				}
			}
		}
	})
}

// TestContested gives way to somebody who sets the value back.
func TestContested(t *testing.T) {
	n := newFakeNode()
	run(t, n, config.Fix, []*check.Check{tunnels()}, func(t *testing.T, a *Agent) {
		for range 20 {
			after(a, 15*time.Second)
			n.change(func(k *repair.Fake) { k.Values[offload]["flannel.1"] = "on" }, linkEvent(7))
		}
		d := after(a, time.Minute)
		f := found(d, "tunnel-test")
		if f == nil || !strings.Contains(f.Plan, "somebody else sets the value back") {
			t.Errorf("%+v; want it contested", f)
		}
		if n.kernel.Sets > 4 {
			t.Errorf("%d writes; want at most 4", n.kernel.Sets)
		}
		if len(d.Fixes) == 0 || d.Fixes[0].State != string(repair.Contested) {
			t.Errorf("fixes %+v; want one contested", d.Fixes)
		}
	})
}

// TestBurst looks at once when a burst of events begins, and then not at each of them, but at what the last has left.
func TestBurst(t *testing.T) {
	n := newFakeNode()
	run(t, n, config.Audit, []*check.Check{tunnels(), sysctl()}, func(t *testing.T, a *Agent) {
		after(a, time.Minute)
		begun := len(n.update)
		for i := range 1000 {
			n.change(func(*repair.Fake) {}, host.Change{Kinds: []facts.Kind{facts.KindLinks, facts.KindNFTables}, Links: []int{1000 + i}, Cause: "link"})
			after(a, 5*time.Millisecond)
			if i == 0 && len(n.update) == begun {
				t.Error("the first event is not looked at at once")
			}
		}
		n.change(func(k *repair.Fake) { k.Values[offload]["geneve1"] = "on" }, linkEvent(8))
		d := after(a, 3*time.Second)
		if looks := len(n.update) - begun; looks > 350 {
			t.Errorf("%d looks for 1000 events in five seconds", looks)
		}
		if len(d.Findings) != 2 {
			t.Errorf("findings %+v; want that of the last event too", d.Findings)
		}
	})
}

// TestSlow finds a tunnel while something dear is being read.
func TestSlow(t *testing.T) {
	n := newFakeNode()
	run(t, n, config.Fix, []*check.Check{tunnels(), sysctl()}, func(t *testing.T, a *Agent) {
		after(a, time.Minute)
		n.change(func(*repair.Fake) { n.slow = 20 * time.Second }, host.Change{Kinds: []facts.Kind{facts.KindSysctls}, Cause: "slow"})
		after(a, time.Second)
		n.change(anew(100), linkEvent(100))
		if after(a, time.Millisecond); n.value(offload, "flannel.1") != "off" {
			t.Error("the tunnel is not mended while something else is read")
		}
		n.change(func(k *repair.Fake) { k.Links["vxlan9"], k.Values[offload]["vxlan9"] = 101, "on" }, linkEvent(101))
		after(a, 50*time.Millisecond)
		if d := after(a, 30*time.Second); len(d.Findings) > 0 || n.value(offload, "vxlan9") != "off" {
			t.Errorf("what was read late undoes what was read since: %+v", d.Findings)
		}
	})
}

// TestPanic lets a check panic.
func TestPanic(t *testing.T) {
	n := newFakeNode()
	bad := &check.Check{Name: "bad-test", Title: "t", Doc: "d", Since: "v0", Needs: []facts.Kind{facts.KindSysctls}, Run: func(s *facts.Snapshot) []check.Finding {
		if s.Host.Sysctls["net/ipv4/tcp_mtu_probing"] == "0" {
			panic("a fault")
		}
		return nil
	}}
	run(t, n, config.Fix, []*check.Check{bad, tunnels()}, func(t *testing.T, a *Agent) {
		d := after(a, time.Second)
		if got := says(d, status.Checks); got != "false 1 check failed by a fault of netmend; the others go on" {
			t.Errorf("condition: %s", got)
		}
		if len(d.Skipped) != 1 || d.Skipped[0].Check != "bad-test" || n.value(offload, "flannel.1") != "off" {
			t.Errorf("skipped %+v; want the bad one, and the other's finding mended", d.Skipped)
		}
		n.change(func(k *repair.Fake) { k.Values[probing][""] = "1" }, host.Change{Kinds: []facts.Kind{facts.KindSysctls}})
		if got := says(after(a, time.Second), status.Checks); got != "true " {
			t.Errorf("condition: %s", got)
		}
	})
}
