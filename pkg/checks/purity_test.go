package checks_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/checks/internal/cases"
	"github.com/netmend/netmend/pkg/facts"
)

// The netip types hold unexported fields, which go-cmp compares only when told how.
var (
	comparePrefixes  = cmpopts.EquateComparable(netip.Prefix{})
	compareAddrs     = cmpopts.EquateComparable(netip.Addr{})
	compareAddrPorts = cmpopts.EquateComparable(netip.AddrPort{})
)

// TestPure holds that a check changes nothing and says the same thing in the same order each time. Maps are walked in another order in each run.
func TestPure(t *testing.T) {
	const runs = 10
	for _, k := range everyCase(t) {
		before := encode(t, k.Snapshot)
		for _, c := range checks.All() {
			first := c.Run(k.Snapshot)
			for range runs {
				if again := c.Run(k.Snapshot); !reflect.DeepEqual(first, again) {
					t.Fatalf("%s on %s: two runs differ:\n%s", c.Name, k.Path, cmp.Diff(first, again))
				}
			}
		}
		if d := cmp.Diff(before, encode(t, k.Snapshot)); d != "" {
			t.Errorf("a check changed %s:\n%s", k.Path, d)
		}
	}
}

// TestMissing takes each needed kind away from each firing case. A check that cannot look is skipped with the reason and finds nothing; where
// a pod alone cannot be read, the pod is skipped and the others are judged as before.
func TestMissing(t *testing.T) {
	for _, c := range checks.All() {
		t.Run(c.Name, func(t *testing.T) {
			for _, k := range load(t, c.Name) {
				for _, kind := range c.Needs {
					t.Run(k.Name+"/"+string(kind), func(t *testing.T) {
						testMissing(t, c, k.Snapshot, kind)
						if c.Pods && kind.PerPod() {
							testMissingInPods(t, c, k.Snapshot, kind)
						}
					})
				}
			}
		})
	}
}

func testMissing(t *testing.T, c *check.Check, s *facts.Snapshot, kind facts.Kind) {
	m := clone(t, s)
	if m.Missing == nil {
		m.Missing = map[facts.Kind]string{}
	}
	m.Missing[kind] = "permission denied"
	r := check.Run(m, []*check.Check{c})
	if len(r.Findings) > 0 || len(r.Passed) > 0 || len(r.Skipped) != 1 || r.Skipped[0].Partial {
		t.Errorf("without %s: %d findings, passed %v, skipped %v; want skipped alone", kind, len(r.Findings), r.Passed, r.Skipped)
	}
}

func testMissingInPods(t *testing.T, c *check.Check, s *facts.Snapshot, kind facts.Kind) {
	before := check.Run(s, []*check.Check{c}).Findings
	for i := range s.Pods {
		m := clone(t, s)
		if m.Pods[i].Missing == nil {
			m.Pods[i].Missing = map[facts.Kind]string{}
		}
		m.Pods[i].Missing[kind] = "permission denied"
		r := check.Run(m, []*check.Check{c})
		testOthersStay(t, s, before, r.Findings, s.Pods[i].Inode)
		skipped := false
		for _, skip := range r.Skipped {
			skipped = skipped || skip.On != nil && skip.On.NetNS == s.Pods[i].Inode
		}
		if !skipped && !notApplicableAny(r) {
			t.Errorf("without %s of pod %d: skipped %v; want the pod", kind, i, r.Skipped)
		}
	}
}

// testOthersStay holds that without one pod nothing is found on it, and that what was found on other pods stays. A finding on the node may rest on
// that pod and go, or say less, but none appears.
func testOthersStay(t *testing.T, s *facts.Snapshot, before, after []check.Finding, pod uint64) {
	t.Helper()
	onNode := func(f check.Finding) bool { return f.On.NetNS == s.Host.Inode || f.On.NetNS == 0 }
	var want, got []check.Finding
	for _, f := range before {
		if f.On.NetNS != pod && !onNode(f) {
			want = append(want, f)
		}
	}
	for _, f := range after {
		known := func(g check.Finding) bool { return g.On == f.On && g.Severity >= f.Severity }
		if !onNode(f) {
			got = append(got, f)
		} else if !slices.ContainsFunc(before, known) {
			t.Errorf("without a kind of pod %d, found:\n%s", pod, cases.Text([]check.Finding{f}))
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("without a kind of pod %d, findings on pods (-want +got):\n%s", pod, d)
	}
}

func notApplicableAny(r *check.Report) bool {
	return len(r.Skipped) == 1 && notApplicable(r.Skipped[0].Check)(r.Skipped[0])
}

func clone(t testing.TB, s *facts.Snapshot) *facts.Snapshot {
	t.Helper()
	c, err := s.Clone()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encode(t testing.TB, s *facts.Snapshot) string {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
