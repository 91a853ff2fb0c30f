package checks_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/checks/internal/cases"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// TestFixes makes every change that a firing case offers, each by itself, in memory. Then the object must have one finding of that severity fewer;
// what is left of it may be lower (evidence of the past stays in a snapshot: a counter that rose, a connection that was translated).
// The undo must give back the snapshot.
func TestFixes(t *testing.T) {
	for _, c := range checks.All() {
		t.Run(c.Name, func(t *testing.T) {
			for _, k := range load(t, c.Name) {
				for _, f := range check.Run(k.Snapshot, []*check.Check{c}).Findings {
					for _, x := range f.Fixes {
						if cases.Changes(x) {
							t.Run(k.Name+"/"+x.Title, func(t *testing.T) { testFix(t, c, k.Snapshot, f, x) })
						}
					}
				}
			}
		})
	}
}

// A reservation's file that is written again is a new file.
var ageless = cmpopts.IgnoreFields(facts.Reservation{}, "Age")

func testFix(t *testing.T, c *check.Check, s *facts.Snapshot, f check.Finding, x fix.Fix) {
	mended, err := fix.Apply(s, x)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	before, after := worst(s, c, f), worst(mended, c, f)
	if after >= before {
		t.Errorf("findings on %s at or above %s: %d before, %d after:\n%s", f.On.Name, f.Severity, before, after,
			cases.Text(check.Run(mended, []*check.Check{c}).Findings))
	}
	restored, err := fix.Apply(mended, x.Undo())
	if err != nil {
		t.Fatalf("undo: %v", err)
	}
	original, err := s.Clone()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(original, restored, comparePrefixes, compareAddrs, compareAddrPorts, ageless); d != "" {
		t.Errorf("undo does not restore the snapshot (-want +got):\n%s", d)
	}
}

// worst counts the findings on the same object that are at least as severe.
func worst(s *facts.Snapshot, c *check.Check, f check.Finding) int {
	n := 0
	for _, g := range check.Run(s, []*check.Check{c}).Findings {
		if g.On == f.On && g.Severity >= f.Severity {
			n++
		}
	}
	return n
}
