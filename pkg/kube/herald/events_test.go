package herald

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
)

// TestDifferences tells what has changed of a node's findings.
func TestDifferences(t *testing.T) {
	f := func(name, message string, s check.Severity) nodereport.Finding {
		return nodereport.Finding{Check: name, Object: "x", Severity: s, Message: message}
	}
	was := []nodereport.Finding{f("gone", "m", check.Critical), f("worse", "m", check.Warning), f("other", "eth0 is wrong", check.Warning), f("number", "5 lost", check.Warning), f("info", "m", check.Info)}
	is := []nodereport.Finding{f("worse", "m", check.Critical), f("other", "eth1 is wrong", check.Warning), f("number", "7 lost", check.Warning), f("new", "m", check.Warning), f("info2", "m", check.Info)}
	d := document()
	d.Resolved = []status.Finding{{Check: "gone", Where: "y", By: "fix 1"}, {Check: "gone", Where: "x", By: "fix 2"}}
	var got []string
	for _, n := range differences(involved{}, was, &view{doc: d, all: is}) {
		got = append(got, fmt.Sprint(n.reason, " ", n.warning, " ", n.message))
	}
	want := `NetworkFaultChanged true worse on x: critical: m
NetworkFaultChanged true other on x: warning: eth1 is wrong
NetworkFaultFound true new on x: warning: m
NetworkFaultGone false gone on x: it is gone, by fix 2`
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("differences:\n%s\nwant\n%s", s, want)
	}
}

// TestEventsAway keeps what is worth telling when nobody hears for long, and in bounds.
func TestEventsAway(t *testing.T) {
	e := newEventState()
	node := involved{Kind: "Node", Name: "a"}
	view := func(findings ...nodereport.Finding) *view { return &view{doc: document(), all: findings} }
	f := func(name, message string, s check.Severity) nodereport.Finding {
		return nodereport.Finding{Check: name, Object: "x", Severity: s, Message: message}
	}
	a, worse := f("a", "1 lost", check.Warning), f("a", "1 lost", check.Critical)
	e.differ(node, nil, view(a))
	e.differ(node, []nodereport.Finding{a}, view(f("a", "2 lost", check.Warning))) // only a number
	e.differ(node, []nodereport.Finding{a}, view(worse))
	if len(e.waiting) != 1 || e.waiting[0].reason != reasonFound || !strings.Contains(e.waiting[0].message, "critical") {
		t.Errorf("waiting: %+v; want that a was found, as it is now", e.waiting)
	}
	e.differ(node, []nodereport.Finding{worse}, view())
	if len(e.waiting) != 0 {
		t.Errorf("waiting: %+v; want nothing: it came and went", e.waiting)
	}
	e.differ(node, []nodereport.Finding{worse}, view(f("a", "1 lost", check.Info)))
	if len(e.waiting) != 1 || e.waiting[0].reason != reasonGone || e.waiting[0].warning {
		t.Errorf("waiting: %+v; want that a is no fault any more", e.waiting)
	}
	var many []nodereport.Finding
	for i := range 1000 {
		many = append(many, f(fmt.Sprint("check-", i), "x", check.Warning))
	}
	e.differ(node, nil, view(many...))
	if len(e.waiting) != maxWaiting {
		t.Errorf("%d wait; want %d", len(e.waiting), maxWaiting)
	}
	allowed := 0
	for i := range many {
		if e.allowed(&news{about: node, reason: reasonFound, subject: fmt.Sprint(i)}, time.Now()) {
			allowed++
		}
	}
	if allowed != nodeBurst || e.more != len(many)-nodeBurst {
		t.Errorf("%d events at once, %d counted; want %d and %d", allowed, e.more, nodeBurst, len(many)-nodeBurst)
	}
	for i := range 1000 {
		e.remember(fmt.Sprint(i), &series{1, time.Now()})
	}
	if len(e.known) != maxKnown || len(e.order) != maxKnown {
		t.Errorf("%d and %d are remembered; want %d", len(e.known), len(e.order), maxKnown)
	}
}

// TestCensus counts whom a cluster can spare.
func TestCensus(t *testing.T) {
	names := func(prefix string, n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("%s%02d", prefix, i))
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		c      census
		spared bool // u00
	}{
		{"a cluster of one", census{1, nil, nil, names("u", 1)}, false},
		{"a small cluster", census{9, nil, nil, names("u", 9)}, false},
		{"ten nodes", census{10, nil, nil, names("u", 10)}, true},
		{"ten nodes, one is tainted", census{10, nil, names("t", 1), names("u", 9)}, false},
		{"twenty nodes, one is tainted", census{20, nil, names("t", 1), names("u", 18)}, true},
		{"its own claim", census{10, nil, names("u", 1), names("v", 9)}, true},
		{"another's claim", census{10, nil, names("u", 2), names("v", 8)}, false},
		{"it is the last that is ready", census{20, nil, nil, names("u", 1)}, false},
		{"nobody else is ready", census{20, nil, names("t", 1), nil}, false},
	} {
		if got := tt.c.spare("u00") == ""; got != tt.spared {
			t.Errorf("%s: spare %t; want %t", tt.name, got, tt.spared)
		}
	}
	now := time.Now()
	for claim, counts := range map[string]bool{
		"": false, "soon": false, "99999999999999999999": false, "9223372036854775807": false, "0": false, fmt.Sprint(now.Unix()): true, fmt.Sprint(now.Unix() - 360): false, fmt.Sprint(now.Unix() + 120): true,
	} {
		if holds(claim, now) != counts {
			t.Errorf("a claim of %q counts: %t; want %t", claim, !counts, counts)
		}
	}
}

// TestOfPod takes no name that would become another path.
func TestOfPod(t *testing.T) {
	for _, pod := range []string{"", "a", "/", "a/", "/b", "a/b/c", "../x", "a/..", "a/b?c", "a/b c", "a/" + strings.Repeat("x", 300), "ä/b"} {
		if n, ok := ofPod(&status.Report{Pod: pod}); ok {
			t.Errorf("%q gives %+v", pod, n.about)
		}
	}
	n, ok := ofPod(&status.Report{Pod: "a/b", PodUID: "../u", Verdict: "warn", Message: strings.Repeat("é\x00\n", 5000)})
	if !ok || n.about.UID != "" || n.reason != reasonWarned || len(n.message) > 1024 || strings.ContainsAny(n.message, "\n") {
		t.Errorf("ofPod = %+v, %t", n.about, ok)
	}
	if name := (&news{about: involved{Name: strings.Repeat("a", 253)}}).name(); len(name) > 253 {
		t.Errorf("an event's name has %d bytes", len(name))
	}
}
