package fix_test

import (
	"net/netip"
	"testing"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

func TestParseRuleRefuses(t *testing.T) {
	for _, k := range []fix.Knob{
		"", "rule", "rule:", "link-mtu", "rule:mss-clamp:1", "rule:tunnel-accept", "rule:tunnel-accept:0", "rule:tunnel-accept:65536", "rule:tunnel-accept:08472",
		"rule:tunnel-accept:1; reboot", "rule:forward-accept:10.0.0.1", "rule:forward-accept:10.0.0.1/8", "rule:forward-accept:", "rule:other:1",
	} {
		if r, err := fix.ParseRule(k); err == nil {
			t.Errorf("ParseRule(%q) = %+v; want an error", k, r)
		}
	}
}

func TestRuleIsPartialWhenHalfOfItIsThere(t *testing.T) {
	cidr := netip.MustParsePrefix("10.244.0.0/16")
	src := facts.FilterRule{Verdict: "accept", Src: "10.244.0.0/16"}
	dst := facts.FilterRule{Verdict: "accept", Dst: "10.244.0.0/16"}
	jump := facts.FilterRule{Verdict: "jump", Target: "NETMEND-FORWARD"}
	other := facts.FilterRule{Verdict: "accept", Src: "10.96.0.0/16"}
	count := uint64(7)
	counted := src
	counted.Packets = &count
	for _, tt := range []struct {
		name string
		base []facts.FilterRule
		own  []facts.FilterRule
		want string
	}{
		{"whole", []facts.FilterRule{jump}, []facts.FilterRule{counted, dst}, fix.Present},
		{"whole, behind another", []facts.FilterRule{other, jump}, []facts.FilterRule{src, dst}, fix.Present},
		{"no jump", nil, []facts.FilterRule{src, dst}, fix.Partial},
		{"one way", []facts.FilterRule{jump}, []facts.FilterRule{src}, fix.Partial},
		{"empty chain", []facts.FilterRule{jump}, nil, fix.Partial},
		{"of another CIDR", []facts.FilterRule{jump}, []facts.FilterRule{other}, fix.Absent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := node()
			s.Host.Tables = []facts.Table{table(facts.BackendNFT, "ip", "filter", chain("FORWARD", "drop", tt.base...), chain("NETMEND-FORWARD", "", tt.own...))}
			if got, err := fix.Get(s, fix.Change{Knob: fix.RuleForwardAccept(cidr)}); err != nil || got != tt.want {
				t.Errorf("Get() = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestRuleUnreadIsNoAnswer(t *testing.T) {
	s := node()
	s.Host.Tables = []facts.Table{table(facts.BackendNFT, "ip", "mangle", chain("FORWARD", "accept"), facts.Chain{Name: "NETMEND-MSS"})}
	if got, err := fix.Get(s, fix.Change{Knob: fix.RuleMSSClamp}); err == nil {
		t.Errorf("Get() = %q of a chain whose rules were not read; want an error", got)
	}
	s.Kinds = nil
	if got, err := fix.Get(s, fix.Change{Knob: fix.RuleMSSClamp}); err == nil {
		t.Errorf("Get() = %q without tables; want an error", got)
	}
}

func TestConflicts(t *testing.T) {
	on := facts.Ref{NetNS: 1, Index: 2, Name: "eth0"}
	set := func(to string) fix.Fix {
		return fix.Fix{Changes: []fix.Change{{Knob: fix.LinkMTU, On: on, From: "1500", To: to}}}
	}
	other := set("1400")
	other.Changes[0].On.Index = 3
	for _, tt := range []struct {
		name  string
		fixes []fix.Fix
		want  int
	}{
		{"none", nil, 0},
		{"agree", []fix.Fix{set("1450"), set("1450")}, 0},
		{"differ", []fix.Fix{set("1450"), set("1400"), set("1450")}, 1},
		{"another object", []fix.Fix{set("1450"), other}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fix.Conflicts(tt.fixes); len(got) != tt.want {
				t.Errorf("Conflicts() = %v; want %d", got, tt.want)
			}
		})
	}
}
