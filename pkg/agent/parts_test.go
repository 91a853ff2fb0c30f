package agent

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/status"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestConditions(t *testing.T) {
	var said []string
	c := conditions{all: map[string]status.Condition{}, log: func(c status.Condition) { said = append(said, fmt.Sprint(c.Name, c.OK, c.Message)) }}
	for i, s := range []struct{ name, message string }{{"a", ""}, {"b", "bad"}, {"b", "bad"}, {"b", "worse"}, {"a", ""}, {"b", ""}} {
		c.set(noon.Add(time.Duration(i)*time.Second), s.name, s.message)
	}
	if want := []string{"bfalsebad", "bfalseworse", "btrue"}; !slices.Equal(said, want) {
		t.Errorf("said %q; want %q", said, want)
	}
	want := []status.Condition{{Name: "a", OK: true, Since: noon}, {Name: "b", OK: true, Since: noon.Add(5 * time.Second)}}
	if diff := cmp.Diff(want, c.list()); diff != "" {
		t.Errorf("list() (-want +got):\n%s", diff)
	}
}

func TestPace(t *testing.T) {
	p := pace{least: 20 * time.Millisecond, rest: 9, most: time.Second}
	if !p.next().IsZero() {
		t.Errorf("the first waits until %s", p.next())
	}
	for took, want := range map[time.Duration]time.Duration{time.Millisecond: 20 * time.Millisecond, 10 * time.Millisecond: 90 * time.Millisecond, time.Minute: time.Second} {
		p.done(noon.Add(-took), noon)
		if got := p.next().Sub(noon); got != want {
			t.Errorf("after work of %s it rests %s; want %s", took, got, want)
		}
	}
}

func TestInbox(t *testing.T) {
	in := newInbox()
	for i := range 5000 {
		in.putChange(host.Change{Links: []int{i, 1}, Kinds: []facts.Kind{facts.KindLinks}, Cause: fmt.Sprint("event ", i), Deaf: "old"})
	}
	in.putChange(host.Change{Pods: true, Kinds: []facts.Kind{facts.KindRoutes}, Lost: true, Cause: "lost"})
	got := in.take()
	if len(got.change.Links) != maxLinks || !got.change.Pods || !got.change.Lost || got.change.Cause != "lost" || got.change.Deaf != "" || got.events != 5001 {
		t.Errorf("%d links, pods %t, lost %t, cause %q, deaf %q, %d events", len(got.change.Links), got.change.Pods, got.change.Lost, got.change.Cause, got.change.Deaf, got.events)
	}
	if want := []facts.Kind{facts.KindLinks, facts.KindRoutes}; !slices.Equal(got.change.Kinds, want) {
		t.Errorf("kinds %v; want %v", got.change.Kinds, want)
	}
	if in.waiting() || in.take().events != 0 {
		t.Error("an emptied inbox is not empty")
	}
}

func TestTodo(t *testing.T) {
	var w todo
	w.add("a", facts.KindSysctls, facts.KindLinks, facts.KindSysctls)
	w.add("b", facts.KindRoutes)
	w.object("c", 9, 1)
	w.object("c", 9, 1)
	w.object("c", 1, 1)
	if quick, cause := w.takeQuick(); cause != "a" || !slices.Equal(quick, []facts.Kind{facts.KindLinks, facts.KindRoutes}) {
		t.Errorf("quick: %v for %s", quick, cause)
	}
	slow := w.takeSlow()
	if !slices.Equal(slow.kinds, []facts.Kind{facts.KindSysctls}) || !slices.Equal(slow.again, []uint64{9}) || slow.cause != "a" {
		t.Errorf("slow: %+v", slow)
	}
	if !w.empty() || w.cause != "" {
		t.Errorf("left: %+v", w)
	}
}

// TestFlap follows a finding that comes and goes.
func TestFlap(t *testing.T) {
	s := newLives()
	on := facts.Ref{NetNS: 1, Name: "x"}
	held := &check.Report{Findings: []check.Finding{{Check: "c", On: on}, {Check: "c", On: on}}}
	judged, whole := map[string]bool{"c": true}, true
	see := func(at time.Duration, r *check.Report) (came, went []*life) {
		return s.see(noon.Add(at), r, judged, func(string, uint64) bool { return whole }, func(facts.Ref) bool { return false })
	}
	came, _ := see(0, held)
	if len(came) != 2 {
		t.Fatalf("%d came; want two, told apart by their order", len(came))
	}
	_, went := see(time.Minute, &check.Report{})
	if len(went) != 2 || len(s.over) != 2 {
		t.Fatalf("%d went", len(went))
	}
	see(2*time.Minute, held)
	if v := s.held[key{"c", 1, "x", 0}]; !v.first.Equal(noon) || !v.since.Equal(noon.Add(2*time.Minute)) || len(s.over) != 0 {
		t.Errorf("a finding that flaps: first %s, since %s, %d over; want the first time kept", v.first, v.since, len(s.over))
	}
	whole = false
	if _, went := see(3*time.Minute, &check.Report{}); len(went) > 0 {
		t.Error("a finding that nobody could look for has gone")
	}
	whole = true
	see(4*time.Minute, &check.Report{})
	see(time.Hour, held)
	if v := s.held[key{"c", 1, "x", 0}]; !v.first.Equal(noon.Add(time.Hour)) {
		t.Errorf("after an hour it is the same finding, first seen %s", v.first)
	}
	for i := range 500 {
		see(2*time.Hour, &check.Report{Findings: []check.Finding{{Check: "c", On: facts.Ref{Name: fmt.Sprint(i)}}}})
	}
	if len(s.over) != maxOver || len(s.held) != 1 {
		t.Errorf("%d over, %d held; want %d and 1", len(s.over), len(s.held), maxOver)
	}
}

// TestProofs judges on paper.
func TestProofs(t *testing.T) {
	c := tunnels()
	link := func(index int, on bool, port uint16) facts.Link {
		return facts.Link{Index: index, Name: "flannel.1", Kind: "vxlan", Up: true, Tunnel: &facts.Tunnel{Port: port}, Features: map[string]facts.Feature{facts.FeatureTxChecksum: {On: on}}}
	}
	snapshot := func(l facts.Link) *facts.Snapshot {
		return &facts.Snapshot{Kinds: []facts.Kind{facts.KindTunnels, facts.KindFeatures}, Node: facts.Node{Privileged: true}, Host: facts.Namespace{Inode: 1, Links: []facts.Link{l}}}
	}
	made := fix.Proposal{Check: c.Name, On: facts.Ref{NetNS: 1, Index: 7, Name: "flannel.1"}, Fix: fix.Fix{Changes: []fix.Change{
		{Knob: offload, On: facts.Ref{NetNS: 1, Index: 7, Name: "flannel.1"}, From: "on", To: "off"},
	}}}
	known := func() proofs {
		p := proofs{}
		p.learn(snapshot(link(7, true, 8472)), c, made, check.Finding{Check: c.Name, Severity: check.Critical}, noon)
		return p
	}
	for _, s := range []struct {
		name string
		link facts.Link
		at   time.Duration
		want bool
	}{
		{"made anew", link(8, true, 8472), time.Minute, true},
		{"the same device", link(7, true, 8472), time.Minute, false},
		{"another port", link(8, true, 4789), time.Minute, false},
		{"nothing to mend", link(8, false, 8472), time.Minute, false},
		{"long ago", link(8, true, 8472), 2 * time.Hour, false},
	} {
		p, ok := known().fits(&s.link, noon.Add(s.at))
		if ok != s.want || ok && (p.On.Index != 8 || p.Fix.Changes[0].On.Index != 8) {
			t.Errorf("%s: %+v, %t; want %t", s.name, p, ok, s.want)
		}
	}
	any := func(check.Finding) bool { return true }
	none := func(check.Finding) bool { return false }
	for _, s := range []struct {
		name    string
		s       *facts.Snapshot
		unasked func(check.Finding) bool
		want    int
	}{
		{"it would be found again", snapshot(link(7, false, 8472)), any, 1},
		{"it would not be mended again", snapshot(link(7, false, 8472)), none, 0},
		{"the tunnel is another", snapshot(link(7, false, 4789)), any, 0},
		{"the tunnel is not there", &facts.Snapshot{Host: facts.Namespace{Inode: 1}}, none, 1},
	} {
		p := known()
		p.try(s.s, map[int]time.Time{}, s.unasked, noon.Add(time.Minute))
		if len(p) != s.want {
			t.Errorf("%s: %d proofs are left; want %d", s.name, len(p), s.want)
		}
	}
}

// TestRank puts first what the configuration makes worst.
func TestRank(t *testing.T) {
	severe := check.Critical
	conf := config.Default()
	conf.Checks = map[string]config.Check{"b": {Severity: &severe}}
	list := []*life{
		{key: key{check: "a"}, finding: check.Finding{Check: "a", Severity: check.Warning}},
		{key: key{check: "b"}, finding: check.Finding{Check: "b"}},
	}
	if byRank(list, conf); list[0].key.check != "b" {
		t.Errorf("%s is first; want b", list[0].key.check)
	}
}
