package audit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// made is a check that finds one thing of a severity.
func made(name string, s check.Severity, needs ...facts.Kind) *check.Check {
	return &check.Check{Name: name, Title: "t", Doc: "d", Since: "v0.1.0", Needs: needs, Severity: s, Run: func(*facts.Snapshot) []check.Finding {
		return []check.Finding{{Severity: s, Message: name}}
	}}
}

func suite(t *testing.T) *Suite {
	t.Helper()
	wants := made("tunnel-mtu", check.Warning, facts.KindTunnels)
	wants.Wants, wants.Pods = []facts.Kind{facts.KindLinks}, true
	u, err := New([]*check.Check{made("bridge-mtu", check.Critical, facts.KindRoutes), wants, made("ip-forward", check.Info, facts.KindSysctls)},
		func(f check.Finding, _ fix.Fix) bool { return f.Check == "ip-forward" })
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func names(list []*check.Check) (out []string) {
	for _, c := range list {
		out = append(out, c.Name)
	}
	return out
}

func TestSelect(t *testing.T) {
	u := suite(t)
	for _, tt := range []struct {
		name           string
		wanted, others []string
		want           []string
		err            string
	}{
		{"all", nil, nil, []string{"bridge-mtu", "tunnel-mtu", "ip-forward"}, ""},
		{"in the suite's order", []string{"ip-forward", "bridge-mtu"}, nil, []string{"bridge-mtu", "ip-forward"}, ""},
		{"without", nil, []string{"bridge-mtu"}, []string{"tunnel-mtu", "ip-forward"}, ""},
		{"named and skipped", []string{"ip-forward", "bridge-mtu"}, []string{"ip-forward"}, []string{"bridge-mtu"}, ""},
		{"nothing left", []string{"ip-forward"}, []string{"ip-forward"}, nil, "no check is left"},
		{"a letter too many", []string{"bridge-mtus"}, nil, nil, "did you mean bridge-mtu?"},
		{"large letters", []string{"IP-Forward"}, nil, nil, "did you mean ip-forward?"},
		{"a part", []string{"forward"}, nil, nil, "did you mean ip-forward?"},
		{"nothing like it", []string{"quux"}, nil, nil, "netmendctl checks lists them"},
		{"empty", []string{""}, nil, nil, "netmendctl checks lists them"},
		{"long", []string{strings.Repeat("x", 1<<20)}, nil, nil, "unknown check"},
		{"unknown to skip", nil, []string{"ip-forwart"}, nil, "did you mean ip-forward?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := u.Select(tt.wanted, tt.others)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("Select = %v; want an error with %q", err, tt.err)
				}
				return
			}
			if d := cmp.Diff(tt.want, names(got)); d != "" || err != nil {
				t.Errorf("Select = %v (-want +got):\n%s", err, d)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	list, err := suite(t).Select([]string{"bridge-mtu", "tunnel-mtu"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []facts.Kind{facts.KindLinks, facts.KindTunnels, facts.KindRoutes, facts.KindPods}
	if d := cmp.Diff(want, Kinds(list)); d != "" {
		t.Errorf("Kinds (-want +got):\n%s", d)
	}
}

func TestNewRefusesBadChecks(t *testing.T) {
	c := made("Bad_Name", check.Info, facts.KindLinks)
	if _, err := New([]*check.Check{c}, nil); err == nil || !strings.Contains(err.Error(), "kebab-case") {
		t.Errorf("New = %v; want a refusal", err)
	}
}

func TestDefaultIsValid(t *testing.T) {
	u, err := Default()
	if err != nil || len(u.Checks()) == 0 {
		t.Errorf("Default = %d checks, %v", len(u.Checks()), err)
	}
}

func TestUnasked(t *testing.T) {
	u := suite(t)
	change := fix.Fix{Changes: []fix.Change{{Knob: fix.LinkMTU}}}
	for _, tt := range []struct {
		name  string
		f     check.Finding
		index int
		want  bool
	}{
		{"the first fix of a trusted check", check.Finding{Check: "ip-forward", Fixes: []fix.Fix{change, change}}, 0, true},
		{"an alternative", check.Finding{Check: "ip-forward", Fixes: []fix.Fix{change, change}}, 1, false},
		{"advice", check.Finding{Check: "ip-forward", Fixes: []fix.Fix{{Advice: []string{"x"}}}}, 0, false},
		{"another check", check.Finding{Check: "bridge-mtu", Fixes: []fix.Fix{change}}, 0, false},
		{"no fix", check.Finding{Check: "ip-forward"}, 0, false},
	} {
		if got := u.Unasked(tt.f, tt.index); got != tt.want {
			t.Errorf("%s: Unasked = %v; want %v", tt.name, got, tt.want)
		}
	}
}

func TestJudge(t *testing.T) {
	s := &facts.Snapshot{Kinds: []facts.Kind{facts.KindRoutes, facts.KindSysctls, facts.KindTunnels}, Missing: map[facts.Kind]string{facts.KindRoutes: "netlink: operation not permitted", facts.KindTunnels: "interrupted"}}
	r := Judge(s, suite(t).Checks())
	want := []check.Skip{
		{Check: "bridge-mtu", Reason: "could not read routes: netlink: operation not permitted (run as root)"},
		{Check: "tunnel-mtu", Reason: "could not read tunnels: interrupted"},
	}
	if d := cmp.Diff(want, r.Skipped); d != "" {
		t.Errorf("skipped (-want +got):\n%s", d)
	}
	if !Failed(r, check.Info) || Failed(r, check.Warning) {
		t.Errorf("Failed at info %v, at warning %v; want true and false", Failed(r, check.Info), Failed(r, check.Warning))
	}
	s.Node.Privileged = true
	if got := Judge(s, suite(t).Checks()).Skipped[0].Reason; strings.Contains(got, "root") {
		t.Errorf("root is told %q", got)
	}
}
