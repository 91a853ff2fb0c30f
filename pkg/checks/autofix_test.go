package checks_test

import (
	"path"
	"slices"
	"testing"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/checks/internal/cases"
	"github.com/netmend/netmend/pkg/fix"
)

// TestAutoFix holds that every check that offers a change has one rule with a reason, that no other check has one, and that a rule says the truth
// about the fixes that the cases offer.
func TestAutoFix(t *testing.T) {
	offers, runs := map[string]bool{}, map[string]bool{}
	for _, c := range checks.All() {
		for _, k := range load(t, c.Name) {
			for _, f := range check.Run(k.Snapshot, []*check.Check{c}).Findings {
				for _, x := range f.Fixes {
					offers[c.Name] = offers[c.Name] || cases.Changes(x)
					runs[c.Name] = runs[c.Name] || checks.MayRunUnasked(f, x)
				}
			}
		}
	}
	ruled := map[string]bool{}
	for _, r := range checks.AutoFix() {
		if ruled[r.Check] {
			t.Errorf("two rules for %s", r.Check)
		}
		ruled[r.Check] = true
		if r.Why == "" {
			t.Errorf("the rule for %s has no reason", r.Check)
		}
		if !offers[r.Check] {
			t.Errorf("a rule for %s, which offers no change in any of its cases", r.Check)
		}
		if runs[r.Check] != r.Auto {
			t.Errorf("a fix of %s may run unasked: %v in its cases, %v by its rule", r.Check, runs[r.Check], r.Auto)
		}
		if r.Auto != (len(r.Only) > 0) {
			t.Errorf("the rule for %s has Auto %v with %d patterns", r.Check, r.Auto, len(r.Only))
		}
		for _, pattern := range r.Only {
			if _, err := path.Match(pattern, ""); err != nil {
				t.Errorf("the rule for %s has a bad pattern %q", r.Check, pattern)
			}
		}
	}
	for name := range offers {
		if offers[name] && !ruled[name] {
			t.Errorf("check %s offers a change and has no rule in autofix.go", name)
		}
	}
}

// TestAutoFixOrder keeps the list in the order of names, in which people look for one.
func TestAutoFixOrder(t *testing.T) {
	var names []string
	for _, r := range checks.AutoFix() {
		names = append(names, r.Check)
	}
	if !slices.IsSorted(names) {
		t.Errorf("AutoFix() is not in the order of names: %q", names)
	}
}

func TestMayRunUnasked(t *testing.T) {
	sysctl := func(key, to string) fix.Change { return fix.Change{Knob: fix.Sysctl(key), To: to} }
	for _, tt := range []struct {
		name     string
		check    string
		severity check.Severity
		changes  []fix.Change
		want     bool
	}{
		{"forwarding of the node", "ip-forward", check.Critical, []fix.Change{sysctl("net/ipv4/ip_forward", "1")}, true},
		{"forwarding of a link", "ip-forward", check.Critical, []fix.Change{sysctl("net/ipv4/conf/cni0.5/forwarding", "1")}, true},
		{"forwarding where it is no Kubernetes node", "ip-forward", check.Warning, []fix.Change{sysctl("net/ipv4/ip_forward", "1")}, false},
		{"forwarding switched off", "ip-forward", check.Critical, []fix.Change{sysctl("net/ipv4/ip_forward", "0")}, false},
		{"forwarding of IPv6", "ip-forward", check.Critical, []fix.Change{sysctl("net/ipv6/conf/all/forwarding", "1")}, false},
		{"bridged packets", "bridge-nf-call", check.Critical, []fix.Change{sysctl("net/bridge/bridge-nf-call-iptables", "1")}, true},
		{"a module", "bridge-nf-call", check.Critical, []fix.Change{{Knob: fix.Module("br_netfilter"), To: fix.Loaded}}, false},
		{"a module among allowed changes", "bridge-nf-call", check.Critical,
			[]fix.Change{{Knob: fix.Module("br_netfilter"), To: fix.Loaded}, sysctl("net/bridge/bridge-nf-call-iptables", "1")}, false},
		{"another check's knob", "tcp-tw-recycle", check.Critical, []fix.Change{sysctl("net/ipv4/ip_forward", "1")}, false},
		{"advice", "ip-forward", check.Critical, nil, false},
		{"no such check", "no-such-check", check.Critical, []fix.Change{sysctl("net/ipv4/ip_forward", "1")}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := checks.MayRunUnasked(check.Finding{Check: tt.check, Severity: tt.severity}, fix.Fix{Changes: tt.changes})
			if got != tt.want {
				t.Errorf("MayRunUnasked(%s %s, %v) = %v; want %v", tt.severity, tt.check, tt.changes, got, tt.want)
			}
		})
	}
}
