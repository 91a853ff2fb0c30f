package herald

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/kube/herald"
	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/test/e2e/lab"
)

// daemon is the herald of one node, and what it is fed with.
type daemon struct {
	c      *cluster
	t      *testing.T
	name   string
	h      *herald.Herald
	stop   func()
	mu     sync.Mutex
	health string
}

// pace is as quick as tests can be.
func pace() herald.Pace {
	return herald.Pace{
		Settle: 200 * time.Millisecond, Look: time.Second, Absent: 300 * time.Millisecond, Refused: 500 * time.Millisecond, Taint: time.Second, Spread: 100 * time.Millisecond,
	}
}

func everything() herald.Say {
	return herald.Say{Report: true, Condition: true, Events: true, Taint: true}
}

func (c *cluster) daemon(t *testing.T, d *door, name string) *daemon {
	t.Helper()
	s := &daemon{c: c, t: t, name: name}
	h, err := herald.New(herald.Options{Client: d.client(t), Node: name, Say: everything(), Pace: pace(), Health: func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.health = ""
		if err != nil {
			s.health = err.Error()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.h = h
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { h.Run(ctx) })
	s.stop = func() {
		cancel()
		run.Wait()
	}
	t.Cleanup(s.stop)
	return s
}

var started = time.Now().Add(-time.Hour).UTC()

// say publishes a state with these findings.
func (s *daemon) say(state status.State, findings ...status.Finding) {
	s.h.Feed(&status.Document{
		State: state, Ready: true, Mode: "fix", Node: s.name, Started: started, At: time.Now().UTC(), Versions: status.Versions{Netmend: "v0.1.0", Kernel: "6.18.0"}, Findings: findings,
	}, &facts.Snapshot{})
}

func fault(name, message string, s check.Severity) status.Finding {
	return status.Finding{Check: name, Severity: s, Where: "kube-proxy", Message: message, FirstSeen: started, Settled: true}
}

func (s *daemon) until(what string, missing func() string) {
	s.t.Helper()
	lab.WaitFor(s.t, patience, what, func() (bool, string) {
		m := missing()
		s.mu.Lock()
		defer s.mu.Unlock()
		return m == "", m + "; health: " + s.health
	})
}

func (s *daemon) untilCondition(status string) (k condition) {
	s.t.Helper()
	s.until("the condition to be "+status, func() string {
		n := s.c.getNode(s.name)
		if k = n.condition(); k.Status != status {
			return fmt.Sprintf("it is %+v", k)
		}
		return ""
	})
	return k
}

// TestHerald is the life of nodes against one API server.
func TestHerald(t *testing.T) {
	c := newCluster(t)
	d := newDoor(t, c.Cluster)
	t.Run("life", func(t *testing.T) { c.life(t, d) })
	t.Run("pods", func(t *testing.T) { c.pods(t, d) })
	t.Run("refused", func(t *testing.T) { c.refused(t) })
	t.Run("taints", func(t *testing.T) { c.taints(t) })
	t.Run("away", func(t *testing.T) { c.away(t) })
	t.Run("withdraw", func(t *testing.T) { c.withdraw(t) })
	want := []string{
		"events: create", "events: patch", "nodenetworkreports: create", "nodenetworkreports: delete", "nodenetworkreports: get", "nodenetworkreports: update", "nodes/status: patch",
		"nodes: get", "nodes: patch",
	}
	if diff := cmp.Diff(want, d.verbs()); diff != "" {
		t.Errorf("what was asked for (-want +got):\n%s", diff)
	}
}

// life is a node that joins, has a fault, is mended, and is left.
func (c *cluster) life(t *testing.T, d *door) {
	c.node("life", "example.com/theirs", taintKey)
	before := c.getNode("life")
	s := c.daemon(t, d, "life")
	s.say(status.Proven)
	k := s.untilCondition("False")
	s.until("the taint to be removed", func() string {
		n := c.getNode("life")
		if want := strings.ReplaceAll(before.taints(), " "+taintKey+"=", ""); n.taints() != want {
			return n.taints() + ", want " + want
		}
		return ""
	})
	var r nodereport.Report
	s.until("the report", func() string {
		var ok bool
		if r, ok = c.report("life"); !ok || r.Status.State != status.Proven {
			return fmt.Sprintf("it is %+v", r)
		}
		return ""
	})
	if o := r.Metadata.Owners; len(o) != 1 || o[0].UID != before.Metadata.UID || o[0].Kind != "Node" || o[0].APIVersion != "v1" || o[0].Name != "life" {
		t.Errorf("owners %+v; want the Node %s", o, before.Metadata.UID)
	}

	writes := d.writes()
	for range 10 {
		s.say(status.Proven)
		time.Sleep(100 * time.Millisecond)
	}
	if n := d.writes() - writes; n != 0 {
		t.Errorf("a node that stays as it is has written %d times:\n%s", n, d.last(n+5))
	}

	s.say(status.Faulty, fault("service-rules-stale", "Services lead to 3 pods that are gone", check.Critical), fault("rp-filter-strict", "strict", check.Warning))
	bad := s.untilCondition("True")
	if !strings.HasPrefix(bad.Message, "service-rules-stale: Services lead to 3 pods") || bad.LastTransitionTime.Before(k.LastTransitionTime) {
		t.Errorf("condition %+v; want it to tell the fault", bad)
	}
	s.until("the report of a fault", func() string {
		if r, _ = c.report("life"); r.Status.Critical != 1 || r.Status.Warning != 1 || len(r.Status.Findings) != 2 {
			return fmt.Sprintf("it is %+v", r.Status)
		}
		return ""
	})
	told := func(want int) {
		t.Helper()
		s.until("events", func() string {
			if got := c.nodeEvents("life"); len(got) != want {
				return fmt.Sprintf("%d of them: %+v", len(got), got)
			}
			return ""
		})
	}
	told(2)

	writes = d.writes()
	for i := range 10 { // only a number grows
		s.say(status.Faulty, fault("service-rules-stale", fmt.Sprintf("Services lead to %d pods that are gone", 4+i), check.Critical), fault("rp-filter-strict", "strict", check.Warning))
		time.Sleep(100 * time.Millisecond)
	}
	if n := d.writes() - writes; n != 0 {
		t.Errorf("a number that grows was written %d times:\n%s", n, d.last(n+5))
	}

	s.stop() // a new process of the same node says nothing again
	s = c.daemon(t, d, "life")
	writes = d.writes()
	s.say(status.Faulty, fault("service-rules-stale", "Services lead to 3 pods that are gone", check.Critical), fault("rp-filter-strict", "strict", check.Warning))
	time.Sleep(time.Second)
	if n := d.writes() - writes; n != 0 {
		t.Errorf("after a new start it has written %d times:\n%s", n, d.last(n+5))
	}

	c.do(http.MethodDelete, "/apis/"+nodereport.APIVersion+"/"+nodereport.Resource+"/life", nil)
	s.until("the report that somebody has deleted", func() string {
		if _, ok := c.report("life"); !ok {
			return "there is none"
		}
		return ""
	})
	c.spoil("life")
	s.until("the report that somebody has spoilt", func() string {
		if r, _ := c.report("life"); r.Status.Critical != 1 || r.Status.Mode != "fix" {
			return fmt.Sprintf("it is %+v", r.Status)
		}
		return ""
	})

	s.say(status.Faulty, fault("rp-filter-strict", "strict", check.Critical))
	told(4) // one is gone, and one is worse
	s.say(status.Proven)
	good := s.untilCondition("False")
	if good.LastTransitionTime.Before(bad.LastTransitionTime) {
		t.Errorf("condition %+v; want a transition after %+v", good, bad)
	}
	told(5)
	s.say(status.Faulty, fault("rp-filter-strict", "strict", check.Warning))
	s.until("the same event to be counted", func() string {
		for _, e := range c.nodeEvents("life") {
			if e.Reason == "NetworkFaultFound" && strings.Contains(e.Message, "rp-filter-strict") && e.Count == 2 {
				return ""
			}
		}
		return fmt.Sprintf("%+v", c.nodeEvents("life"))
	})
	for _, e := range c.nodeEvents("life") {
		t.Logf("%s %s ×%d: %s", e.Type, e.Reason, e.Count, e.Message)
	}
	after := c.getNode("life")
	if before.theirs() != after.theirs() {
		t.Errorf("kubelet's conditions were %s and are %s", before.theirs(), after.theirs())
	}
	t.Logf("condition: %+v", bad)

	s.h.Configure(herald.Say{})
	s.until("everything to be taken back", func() string {
		_, ok := c.report("life")
		n := c.getNode("life")
		if k := n.condition(); ok || k.Type != "" {
			return fmt.Sprintf("report %t, condition %+v", ok, k)
		}
		return ""
	})
	if after = c.getNode("life"); before.theirs() != after.theirs() {
		t.Errorf("kubelet's conditions were %s and are %s", before.theirs(), after.theirs())
	}
}

// spoil writes nonsense into a report, as somebody may who has the right to.
func (c *cluster) spoil(name string) {
	c.t.Helper()
	c.do(http.MethodPatch, "/apis/"+nodereport.APIVersion+"/"+nodereport.Resource+"/"+name, object{"status": object{"critical": 0, "mode": "audit", "findings": nil}})
}

// pods are told of by the plugin.
func (c *cluster) pods(t *testing.T, d *door) {
	c.node("pods")
	s := c.daemon(t, d, "pods")
	s.say(status.Proven)
	for range 20 { // kubelet tries again and again
		s.h.Tell(status.Report{
			Command: "ADD", Pod: "default/web-1", PodUID: "5e8a0000-0000-4000-8000-000000000001", Verdict: "refuse", At: time.Now(),
			Findings: []status.ReportFinding{{Check: "pod-mtu-mismatch", Severity: check.Critical, On: "eth0", Message: "MTU 1500 over a path of 1450"}},
		})
		s.h.Tell(status.Report{Command: "ADD", Pod: "default/../../nodes", PodUID: "../x", Verdict: "warn", At: time.Now()})
		s.h.Tell(status.Report{Command: "ADD", Pod: "gone/web-2", PodUID: "x", Verdict: "warn", At: time.Now()})
		s.h.Tell(status.Report{Command: "ADD", Pod: "default/web-3", PodUID: "x", Verdict: "pass", At: time.Now()})
		time.Sleep(20 * time.Millisecond)
	}
	s.until("an event of the pod", func() string {
		got := c.events("default", "Pod", "web-1", "5e8a0000-0000-4000-8000-000000000001")
		if len(got) != 1 || got[0].Count != 1 || got[0].Reason != "PodNetworkRefused" || !strings.Contains(got[0].Message, "pod-mtu-mismatch on eth0: MTU 1500") {
			return fmt.Sprintf("%+v", got)
		}
		t.Logf("%s %s: %s", got[0].Type, got[0].Reason, got[0].Message)
		return ""
	})
	var all struct{ Items []event }
	if err := json.Unmarshal(c.do(http.MethodGet, "/api/v1/events?fieldSelector=involvedObject.kind=Pod", nil), &all); err != nil || len(all.Items) != 1 {
		t.Errorf("events of pods: %+v, %v; want one", all.Items, err)
	}
}
