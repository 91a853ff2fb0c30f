package checks_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/checks/internal/cases"
)

var update = flag.Bool("update", false, "rewrite the golden files, and add new names to names.txt")

const testdata = "testdata"

// TestCases runs every check on its own cases: a firing one gives exactly its golden findings, on a clean one no check has more to say than an info.
func TestCases(t *testing.T) {
	for _, c := range checks.All() {
		t.Run(c.Name, func(t *testing.T) {
			all := load(t, c.Name)
			for _, sort := range []string{cases.Fires, cases.Clean, cases.Almost} {
				if !slices.ContainsFunc(all, func(k cases.Case) bool { return k.Is(sort) }) {
					t.Errorf("check %s has no case %s-*.json", c.Name, sort)
				}
			}
			for _, k := range all {
				t.Run(k.Name, func(t *testing.T) { testCase(t, c, k) })
			}
		})
	}
}

func testCase(t *testing.T, c *check.Check, k cases.Case) {
	if k.Snapshot.Note == "" {
		t.Error("the case has no note that says what it shows")
	}
	if k.Is(cases.Fires) {
		testFires(t, c, k)
	} else {
		testClean(t, c, k)
	}
}

func testFires(t *testing.T, c *check.Check, k cases.Case) {
	r := check.Run(k.Snapshot, []*check.Check{c})
	if len(r.Findings) == 0 {
		t.Fatalf("found nothing; skipped: %v", r.Skipped)
	}
	for _, f := range r.Findings {
		testFinding(t, c, f)
	}
	got := cases.Text(r.Findings)
	if *update {
		if err := os.WriteFile(k.Golden(), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(k.Golden())
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("findings differ from %s (-want +got):\n%s", k.Golden(), d)
	}
}

// testFinding holds what every finding must be, whatever it says.
func testFinding(t *testing.T, c *check.Check, f check.Finding) {
	t.Helper()
	if slices.ContainsFunc(f.Evidence, func(e check.Evidence) bool { return e.Fact == "Services and EndpointSlices" }) && !f.ByTruth {
		t.Error("the finding compares the node with what the API told, and does not say so in ByTruth: it would be told before it has lasted")
	}
	if f.Message == "" || strings.ContainsAny(f.Message, "\n\t") {
		t.Errorf("message %q is not one line", f.Message)
	}
	if f.Severity > c.Severity {
		t.Errorf("severity %s is above the check's own, %s", f.Severity, c.Severity)
	}
	if len(f.Evidence) == 0 {
		t.Errorf("finding %q has no evidence", f.Message)
	}
	for _, x := range f.Fixes {
		switch {
		case x.Title == "":
			t.Errorf("a fix of %q has no title", f.Message)
		case len(x.Changes) == 0 && len(x.Advice) == 0:
			t.Errorf("fix %q neither changes nor advises", x.Title)
		case len(x.Changes) > 0 && x.Cost == "":
			t.Errorf("fix %q does not say what it costs", x.Title)
		}
	}
}

func testClean(t *testing.T, c *check.Check, k cases.Case) {
	r := check.Run(k.Snapshot, checks.All())
	if !slices.Contains(r.Passed, c.Name) && !slices.ContainsFunc(r.Skipped, notApplicable(c.Name)) {
		t.Errorf("%s did not pass it; skipped: %v", c.Name, r.Skipped)
	}
	testHealthy(t, r)
}

// notApplicable tells the skips that are as good as a pass from those for want of facts.
func notApplicable(name string) func(check.Skip) bool {
	return func(s check.Skip) bool {
		return s.Check == name && strings.HasPrefix(s.Reason, "not applicable: ")
	}
}

func testHealthy(t *testing.T, r *check.Report) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Severity > check.Info {
			t.Errorf("false alarm:\n%s", cases.Text([]check.Finding{f}))
		}
	}
}

// TestHealthyNodes runs all checks on whole healthy nodes.
func TestHealthyNodes(t *testing.T) {
	for _, k := range load(t, cases.Healthy) {
		t.Run(k.Name, func(t *testing.T) {
			if k.Snapshot.Note == "" {
				t.Error("the node has no note that says what it is")
			}
			testHealthy(t, check.Run(k.Snapshot, checks.All()))
		})
	}
}

// TestFolders finds folders of checks that do not exist.
func TestFolders(t *testing.T) {
	folders, err := cases.Folders(testdata)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if f != cases.Healthy && !slices.ContainsFunc(checks.All(), named(f)) {
			t.Errorf("testdata/%s belongs to no check", f)
		}
	}
}

func named(name string) func(*check.Check) bool {
	return func(c *check.Check) bool { return c.Name == name }
}

func load(t testing.TB, folder string) []cases.Case {
	t.Helper()
	out, err := cases.Load(testdata, folder)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// everyCase gives the cases of all checks and the healthy nodes.
func everyCase(t testing.TB) []cases.Case {
	t.Helper()
	folders, err := cases.Folders(testdata)
	if err != nil {
		t.Fatal(err)
	}
	var out []cases.Case
	for _, f := range folders {
		out = append(out, load(t, f)...)
	}
	return out
}
