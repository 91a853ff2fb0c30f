package fix_test

import (
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

func TestPlan(t *testing.T) {
	propose := func(check, device, to string) fix.Proposal {
		on := facts.Ref{NetNS: 1, Index: len(device), Name: device}
		return fix.Proposal{Check: check, On: on, Fix: fix.Fix{Title: "set it", Changes: []fix.Change{{Knob: fix.LinkMTU, On: on, From: "1500", To: to}}}}
	}
	for _, tt := range []struct {
		name      string
		proposals []fix.Proposal
		plan      []string
		refused   []string
	}{
		{"none", nil, nil, nil},
		{"two", []fix.Proposal{propose("a", "x", "1400"), propose("b", "yy", "1450")}, []string{"a", "b"}, nil},
		{"the same twice", []fix.Proposal{propose("a", "x", "1400"), propose("b", "x", "1400")}, []string{"a"}, []string{"the fix for a does the same"}},
		{"in conflict", []fix.Proposal{propose("a", "x", "1400"), propose("b", "x", "1450"), propose("c", "yy", "1450")}, []string{"c"}, []string{"the other by b", "the other by a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan, refused := fix.Plan(tt.proposals)
			if len(plan) != len(tt.plan) || len(refused) != len(tt.refused) {
				t.Fatalf("Plan() = %v, %v; want %v, %v", plan, refused, tt.plan, tt.refused)
			}
			for i, p := range plan {
				if p.Check != tt.plan[i] {
					t.Errorf("planned fix %d is of %s; want %s", i, p.Check, tt.plan[i])
				}
			}
			for i, r := range refused {
				if !strings.Contains(r.Why, tt.refused[i]) {
					t.Errorf("refusal %d says %q; want %q in it", i, r.Why, tt.refused[i])
				}
			}
		})
	}
}
