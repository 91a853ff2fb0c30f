package checks_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
)

func TestValidate(t *testing.T) {
	if err := check.Validate(checks.All()); err != nil {
		t.Errorf("Validate(All()) = %v; want nil", err)
	}
	for _, c := range checks.All() {
		first, _, _ := strings.Cut(c.Title, " ")
		if strings.ToUpper(first[:1]) != first[:1] && !strings.Contains(first, "_") || strings.HasSuffix(c.Title, ".") {
			t.Errorf("check %s: title %q: it starts with a capital, unless with the name of a setting, and has no full stop", c.Name, c.Title)
		}
		if n := strings.Count(c.Markdown(), "\n"); n < 12 {
			t.Errorf("check %s: Doc has %d lines: what breaks, how it is seen, why, the fix, its cost, when it is no fault", c.Name, n)
		}
	}
}

// TestNames holds that a name is for ever: people have it in their configuration and their dashboards. The file only grows.
func TestNames(t *testing.T) {
	const path = testdata + "/names.txt"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	frozen := strings.Fields(string(data))
	for _, name := range frozen {
		if !slices.ContainsFunc(checks.All(), named(name)) {
			t.Errorf("check %s is gone or renamed: names are permanent", name)
		}
	}
	for _, c := range checks.All() {
		switch {
		case slices.Contains(frozen, c.Name):
		case *update:
			frozen = append(frozen, c.Name)
		default:
			t.Errorf("check %s is not in %s (go test -update adds it)", c.Name, path)
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.Join(frozen, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
