package check

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

func on(index int, name string) facts.Ref { return facts.Ref{NetNS: 1, Index: index, Name: name} }

func finder(name string, s Severity, refs ...facts.Ref) *Check {
	return &Check{Name: name, Title: "t", Doc: "d", Since: "0.1", Needs: []facts.Kind{facts.KindLinks}, Severity: s,
		Run: func(*facts.Snapshot) (fs []Finding) {
			for _, r := range refs {
				fs = append(fs, Finding{Severity: s, On: r, Message: name})
			}
			return fs
		}}
}

func snapshot(kinds ...facts.Kind) *facts.Snapshot {
	return &facts.Snapshot{Schema: facts.Schema, Kinds: kinds, Host: facts.Namespace{Inode: 1}}
}

func TestRunOrdersAndMutes(t *testing.T) {
	cause := finder("b-cause", Warning, on(2, "two"))
	effect := finder("a-effect", Critical, on(2, "two"), on(3, "three"))
	effect.After = []*Check{cause}
	pod := finder("a-pod", Warning, facts.Ref{NetNS: 9, Index: 1, Name: "pod"}, on(7, "host"))
	r := Run(snapshot(facts.KindLinks), []*Check{effect, cause, pod})
	var got []string
	for _, f := range r.Findings {
		got = append(got, f.Check+" "+f.On.Name)
	}
	want := []string{"a-effect three", "a-pod host", "a-pod pod", "b-cause two"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Run: findings (-want +got):\n%s", d)
	}
	if got, want := r.Count(Warning), 3; got != want {
		t.Errorf("Count(Warning) = %d; want %d", got, want)
	}
}

func TestRunSkips(t *testing.T) {
	window := finder("needs-window", Info)
	window.Window = NeedsWindow
	wants := finder("wants", Info)
	wants.Window, wants.Wants = WantsWindow, []facts.Kind{facts.KindTunnelNAT, facts.KindIPVS}
	never := finder("never", Critical, on(1, "x"))
	never.NotApplicable = func(*facts.Snapshot) string { return "no such thing here" }
	pods := finder("pods", Info)
	pods.Pods = true
	uncollected := finder("uncollected", Critical, on(1, "x"))
	uncollected.Needs = []facts.Kind{facts.KindIPAM}
	missing := finder("missing", Critical, on(1, "x"))
	missing.Needs = []facts.Kind{facts.KindTunnelNAT}

	s := snapshot(facts.KindLinks, facts.KindTunnelNAT)
	s.Missing = map[facts.Kind]string{facts.KindTunnelNAT: "permission denied"}
	s.Pods = []facts.Namespace{{Inode: 5, Path: "/run/netns/p", Missing: map[facts.Kind]string{facts.KindLinks: "gone"}}, {Inode: 6}}
	r := Run(s, []*Check{window, wants, never, pods, uncollected, missing})
	want := []Skip{
		{Check: "needs-window", Reason: "no window: it judges counters over time (--window 60s)"},
		{Check: "wants", Partial: true, Reason: "no window: judged without counter evidence (--window 60s)"},
		{Check: "wants", Partial: true, Reason: "could not read tunnel-nat: permission denied"},
		{Check: "never", Reason: "not applicable: no such thing here"},
		{Check: "pods", On: &facts.Ref{NetNS: 5, Name: "/run/netns/p"}, Reason: "could not read links: gone"},
		{Check: "uncollected", Reason: "ipam was not collected"},
		{Check: "missing", Reason: "could not read tunnel-nat: permission denied"},
	}
	if d := cmp.Diff(want, r.Skipped); d != "" {
		t.Errorf("Run: skipped (-want +got):\n%s", d)
	}
	if len(r.Findings) != 0 {
		t.Errorf("Run: findings %v; want none from checks that could not look", r.Findings)
	}
	if d := cmp.Diff([]string{"wants", "pods"}, r.Passed); d != "" {
		t.Errorf("Run: passed (-want +got):\n%s", d)
	}
}

func TestValidate(t *testing.T) {
	good := finder("good", Info)
	tests := []struct {
		name   string
		change func(*Check) []*Check
		want   string
	}{
		{"good", func(c *Check) []*Check { return []*Check{c} }, ""},
		{"nil", func(c *Check) []*Check { return []*Check{nil} }, "a nil check"},
		{"name", func(c *Check) []*Check { c.Name = "Not_Kebab"; return []*Check{c} }, `check "Not_Kebab": the name is not kebab-case`},
		{"twice", func(c *Check) []*Check { return []*Check{c, finder("good", Info)} }, "check good: the name occurs twice"},
		{"doc", func(c *Check) []*Check { c.Doc = ""; return []*Check{c} }, "check good: undocumented: Title, Doc and Since are needed"},
		{"run", func(c *Check) []*Check { c.Run = nil; return []*Check{c} }, "check good: no Run"},
		{"needs", func(c *Check) []*Check { c.Needs = nil; return []*Check{c} }, "check good: needs no facts, so it cannot judge"},
		{"foreign cause", func(c *Check) []*Check { c.After = []*Check{good}; return []*Check{c} }, "check good: a root cause that is not in the list"},
		{"cycle", func(c *Check) []*Check { c.After = []*Check{c}; return []*Check{c} }, "check good: its root causes lead back to it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := Validate(tt.change(finder("good", Info))); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("Validate = %q; want %q", got, tt.want)
			}
		})
	}
}
