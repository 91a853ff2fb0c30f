package agent

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/status"
)

// fakeTruth is what an API server tells.
type fakeTruth struct {
	mu sync.Mutex
	c  *facts.Cluster
}

func (f *fakeTruth) Cluster() *facts.Cluster {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.c == nil {
		return nil
	}
	c := *f.c
	return &c
}

func (f *fakeTruth) tell(a *Agent, c *facts.Cluster) {
	f.mu.Lock()
	f.c = c
	f.mu.Unlock()
	a.TruthChanged()
}

// compares finds rules that differ from what is wanted, of which the fake node has as many as a value says.
func compares() *check.Check {
	return &check.Check{
		Name: "truth-test", Title: "t", Doc: "d", Since: "v0", Severity: check.Critical, Settle: 30 * time.Second,
		Needs: []facts.Kind{facts.KindServiceVIPs}, Wants: []facts.Kind{facts.KindServices, facts.KindServiceRules},
		NotApplicable: func(s *facts.Snapshot) string {
			if s.Intent.Cluster == nil {
				return "nobody told"
			}
			return s.Intent.Cluster.Unheard
		},
		Run: func(s *facts.Snapshot) []check.Finding {
			if s.ServiceRules != nil && len(s.ServiceRules.Paths) == len(s.Intent.Cluster.All) {
				return nil
			}
			return []check.Finding{{ByTruth: true, Severity: check.Critical, On: facts.Ref{NetNS: nodeNS, Name: "a/b"}, Message: "old"}}
		},
	}
}

// rules gives the node rules for so many Services.
func (n *fakeNode) rules(count int) func(*repair.Fake) {
	return func(*repair.Fake) {
		n.s.ServiceRules = &facts.ServiceRules{Mode: facts.ModeNFTables, Paths: make([]facts.ServicePath, count)}
	}
}

func wants(count int) *facts.Cluster {
	return &facts.Cluster{Source: facts.SourceAPI, All: make([]facts.Service, count)}
}

// looks counts how often the rules were read.
func (n *fakeNode) looks() (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, o := range n.update {
		if slices.Contains(o.Kinds, facts.KindServiceRules) {
			count++
		}
	}
	return count
}

var newRules = host.Change{Kinds: []facts.Kind{facts.KindNFTables, facts.KindServiceVIPs}, Cause: "nftables by nft"}

// TestTruth lets the API server and the kernel change one after the other.
func TestTruth(t *testing.T) {
	n := newFakeNode()
	n.rules(0)(nil)
	run(t, n, config.Audit, []*check.Check{compares()}, func(t *testing.T, a *Agent) {
		after(a, time.Minute)
		n.change(n.rules(1), newRules)
		d := after(a, time.Minute)
		if n.looks() != 0 || found(d, "truth-test") != nil {
			t.Fatalf("%d looks at rules that nobody compares; want none", n.looks())
		}
		f := &fakeTruth{}
		a.SetTruth(f)
		a.TruthChanged()
		if after(a, time.Minute); n.looks() != 0 {
			t.Fatalf("%d looks before anything is known; want none", n.looks())
		}
		f.tell(a, wants(1))
		if d = after(a, time.Second); n.looks() != 1 || !slices.Contains(d.Audit.Judged, "truth-test") {
			t.Fatalf("%d looks when all is known, %+v; want one that judges", n.looks(), d.Skipped)
		}
		after(a, time.Minute)

		was := n.looks() // a change that kube-proxy writes
		f.tell(a, wants(2))
		if after(a, 10*time.Second); n.looks() != was {
			t.Errorf("it looks while kube-proxy may be writing")
		}
		n.change(n.rules(2), newRules)
		if d = after(a, 10*time.Second); n.looks() == was || found(d, "truth-test") != nil {
			t.Errorf("%d looks, %+v; want one that finds nothing", n.looks()-was, d.Findings)
		}
		after(a, time.Minute)

		f.tell(a, wants(3)) // a change that it does not
		var told time.Duration
		for d = after(a, time.Second); found(d, "truth-test") == nil && told < time.Minute; told += time.Second {
			if v := a.latest.Load(); v.Status.State != status.Proven || len(v.Report.Findings) > 0 || len(v.Verdicts.Findings) > 0 {
				t.Fatalf("after %s somebody hears what is not certain: %+v", told, v)
			}
			d = after(a, time.Second)
		}
		if told < 44*time.Second || told > 50*time.Second { // 15 s for kube-proxy and 30 s to last
			t.Errorf("it is told after %s; want after about 46 s", told)
		}
		if d.State != status.Faulty || !found(d, "truth-test").Settled || len(a.latest.Load().Report.Findings) != 1 || len(a.latest.Load().Verdicts.Findings) != 0 {
			t.Errorf("then the node is %s, %+v; want it faulty, and no pod to wait for that", d.State, d.Findings)
		}
		n.change(n.rules(3), newRules)
		if d = after(a, 10*time.Second); found(d, "truth-test") != nil || len(d.Resolved) != 1 {
			t.Errorf("when the rules are right: %+v, %d resolved; want it resolved", d.Findings, len(d.Resolved))
		}

		n.change(n.rules(2), newRules) // the rules alone change, and come back before that has lasted
		after(a, 10*time.Second)
		n.change(n.rules(3), newRules)
		if d = after(a, time.Minute); found(d, "truth-test") != nil || len(d.Resolved) != 1 {
			t.Errorf("what did not last was told: %+v, %+v", d.Findings, d.Resolved)
		}

		silent := wants(4) // it is not known whether this is so
		silent.Unheard = "the API server is not heard"
		f.tell(a, silent)
		if d = after(a, time.Minute); found(d, "truth-test") != nil || slices.Contains(d.Audit.Judged, "truth-test") {
			t.Errorf("a silent API server makes a finding, or judges: %+v", d.Findings)
		}
		f.tell(a, wants(4))
		if d = after(a, 2*time.Minute); found(d, "truth-test") == nil {
			t.Error("when it is heard again nothing is found")
		}
		a.SetTruth(nil)
		if d = after(a, time.Minute); found(d, "truth-test") != nil {
			t.Error("nobody tells any more, and the finding is left")
		}
		was = n.looks()
		n.change(n.rules(0), newRules)
		if after(a, time.Minute); n.looks() != was {
			t.Error("rules are read that nobody compares any more")
		}
	})
}

// TestTruthPace holds that an API server and rules that never stand still are looked at now and then.
func TestTruthPace(t *testing.T) {
	n := newFakeNode()
	n.slow = 500 * time.Millisecond
	n.rules(1)(nil)
	run(t, n, config.Audit, []*check.Check{compares()}, func(t *testing.T, a *Agent) {
		f := &fakeTruth{c: wants(1)}
		a.SetTruth(f)
		a.TruthChanged()
		after(a, time.Minute)
		was := n.looks()
		for range 300 {
			n.change(n.rules(1), newRules)
			f.tell(a, wants(1))
			after(a, time.Second)
		}
		if looks := n.looks() - was; looks < 8 || looks > 14 {
			t.Errorf("%d looks of half a second in five minutes; want one each 25 s", looks)
		}
	})
}

// TestTruthServices holds what the plugin hears that pods need.
func TestTruthServices(t *testing.T) {
	n := newFakeNode()
	n.s.Intent.Services = []facts.ServiceIntent{{Name: "kube-system/kube-dns:dns", VIP: netip.MustParseAddr("10.96.0.10"), Port: 53, Protocol: "udp", Source: "default"}}
	run(t, n, config.Audit, []*check.Check{compares()}, func(t *testing.T, a *Agent) {
		after(a, time.Minute)
		if v := a.latest.Load().Verdicts; len(v.Services) > 0 {
			t.Errorf("a guess is told: %+v", v.Services)
		}
		c := wants(1)
		c.All[0] = facts.Service{Name: "default/kubernetes", ClusterIPs: []netip.Addr{netip.MustParseAddr("10.96.0.1")}, Ports: []facts.ServicePort{{Name: "https", Protocol: "tcp", Port: 443}}}
		f := &fakeTruth{}
		a.SetTruth(f)
		f.tell(a, c)
		after(a, time.Minute)
		want := []facts.ServiceIntent{{Name: "default/kubernetes:https", VIP: netip.MustParseAddr("10.96.0.1"), Port: 443, Protocol: "tcp", Source: facts.SourceAPI}}
		if d := cmp.Diff(want, a.latest.Load().Verdicts.Services, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("what pods need (-want +got):\n%s", d)
		}
	})
}

// TestForgetCondition takes one away.
func TestForgetCondition(t *testing.T) {
	run(t, newFakeNode(), config.Audit, []*check.Check{compares()}, func(t *testing.T, a *Agent) {
		a.SetCondition(status.Kubernetes, errors.New("away"))
		if got := says(after(a, time.Minute), status.Kubernetes); got != "false away" {
			t.Errorf("the condition is %q", got)
		}
		a.ForgetCondition(status.Kubernetes)
		if got := says(after(a, time.Minute), status.Kubernetes); got != "nothing" {
			t.Errorf("the condition that was taken away is %q", got)
		}
	})
}
