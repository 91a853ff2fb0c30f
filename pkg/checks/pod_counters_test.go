package checks_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/facts"
)

// TestPodCounters takes from the pods of every case the counters that no check says it asks for: the findings stay. Without those either, some go.
func TestPodCounters(t *testing.T) {
	var asked []string
	for _, c := range checks.All() {
		asked = append(asked, c.Counters...)
	}
	findings := func(s *facts.Snapshot, keep func(name string) bool) []check.Finding {
		own := *s
		own.Pods = slices.Clone(s.Pods)
		for i := range own.Pods {
			if c := own.Pods[i].Counters; c != nil {
				few := facts.Counters{Total: maps.Clone(c.Total), Delta: maps.Clone(c.Delta)}
				for _, m := range []map[string]uint64{few.Total, few.Delta} {
					maps.DeleteFunc(m, func(name string, _ uint64) bool { return !keep(name) })
				}
				own.Pods[i].Counters = &few
			}
		}
		return check.Run(&own, checks.All()).Findings
	}
	told := false
	for _, k := range everyCase(t) {
		all := findings(k.Snapshot, func(string) bool { return true })
		some := findings(k.Snapshot, func(name string) bool { return slices.Contains(asked, name) })
		if d := cmp.Diff(all, some, compareAddrs, comparePrefixes, compareAddrPorts); d != "" {
			t.Errorf("%s: without the counters that no check declares (-all +declared):\n%s", k.Path, d)
		}
		told = told || len(findings(k.Snapshot, func(string) bool { return false })) < len(all)
	}
	if !told {
		t.Error("no case has a finding that a pod's counters tell")
	}
}
