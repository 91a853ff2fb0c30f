package audit_test

import (
	"testing"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

func TestPropose(t *testing.T) {
	noop := func(name string) *check.Check {
		return &check.Check{
			Name: name, Title: "x", Doc: "x", Since: "v0", Needs: []facts.Kind{facts.KindLinks}, Run: func(*facts.Snapshot) []check.Finding { return nil },
		}
	}
	suite, err := audit.New([]*check.Check{noop("auto"), noop("opt")}, func(f check.Finding, _ fix.Fix) bool { return f.Check == "auto" })
	if err != nil {
		t.Fatal(err)
	}
	advice := fix.Fix{Title: "advice", Advice: []string{"do it"}}
	change := fix.Fix{Title: "change", Changes: []fix.Change{{Knob: fix.LinkMTU, To: "1"}}}
	other := fix.Fix{Title: "other", Changes: []fix.Change{{Knob: fix.LinkMTU, To: "2"}}}
	for _, tt := range []struct {
		name    string
		finding check.Finding
		named   []audit.Choice
		want    string // title of the proposal; empty: none
	}{
		{"unasked", check.Finding{Check: "auto", Fixes: []fix.Fix{change}}, nil, "change"},
		{"unasked and named", check.Finding{Check: "auto", Fixes: []fix.Fix{change}}, []audit.Choice{{Check: "auto"}}, "change"},
		{"not unasked", check.Finding{Check: "opt", Fixes: []fix.Fix{change}}, nil, ""},
		{"another named", check.Finding{Check: "opt", Fixes: []fix.Fix{change}}, []audit.Choice{{Check: "auto"}}, ""},
		{"named", check.Finding{Check: "opt", Fixes: []fix.Fix{change}}, []audit.Choice{{Check: "opt"}}, "change"},
		{"named, behind advice", check.Finding{Check: "opt", Fixes: []fix.Fix{advice, change}}, []audit.Choice{{Check: "opt"}}, "change"},
		{"the first is advice, so nothing is unasked", check.Finding{Check: "auto", Fixes: []fix.Fix{advice, change}}, nil, ""},
		{"advice, named", check.Finding{Check: "opt", Fixes: []fix.Fix{advice}}, []audit.Choice{{Check: "opt"}}, ""},
		{"the second, chosen", check.Finding{Check: "auto", Fixes: []fix.Fix{change, other}}, []audit.Choice{{Check: "auto", Fix: 2}}, "other"},
		{"one that is not offered", check.Finding{Check: "auto", Fixes: []fix.Fix{change}}, []audit.Choice{{Check: "auto", Fix: 2}}, ""},
		{"advice, chosen", check.Finding{Check: "auto", Fixes: []fix.Fix{change, advice}}, []audit.Choice{{Check: "auto", Fix: 2}}, ""},
		{"nothing known", check.Finding{Check: "opt"}, []audit.Choice{{Check: "opt"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proposals, others := suite.Propose(&check.Report{Findings: []check.Finding{tt.finding}}, tt.named)
			got := ""
			if len(proposals) > 0 {
				got = proposals[0].Fix.Title
			}
			if got != tt.want || len(proposals)+len(others) != 1 {
				t.Errorf("Propose() = %v and not %v; want %q", proposals, others, tt.want)
			}
			if len(others) == 1 && others[0].Why == "" {
				t.Error("no reason")
			}
		})
	}
}

func TestParseChoice(t *testing.T) {
	for _, tt := range []struct {
		text string
		want audit.Choice
		ok   bool
	}{
		{"hairpin", audit.Choice{Check: "hairpin"}, true},
		{"hairpin=2", audit.Choice{Check: "hairpin", Fix: 2}, true},
		{"hairpin=0", audit.Choice{}, false},
		{"hairpin=", audit.Choice{}, false},
		{"hairpin=x", audit.Choice{}, false},
	} {
		if got, err := audit.ParseChoice(tt.text); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("ParseChoice(%q) = %v, %v; want %v", tt.text, got, err, tt.want)
		}
	}
}
