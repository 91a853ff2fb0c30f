package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

// elsewhere are the checks that judge a pod while it is made, from what only the CNI plugin sees; the plugin's tests show them.
var elsewhere = []string{"duplicate-ip-lan", "ipv6-pod"}

// TestEveryCheckIsShown holds the tests of nodes to completeness: each check finds a fault that one of them makes, here or in the guest. A wanted
// finding stands alone in a string, or behind others that the same fault gives.
func TestEveryCheckIsShown(t *testing.T) {
	t.Parallel()
	out, err := lab.Netmendctl("checks", "-o", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var checks []struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(out, &checks); err != nil || len(checks) == 0 {
		t.Fatalf("%d checks, %v", len(checks), err)
	}
	var source []byte
	for _, dir := range []string{"test/e2e", "test/services", "test/guest/inside"} {
		files, err := filepath.Glob(filepath.Join(lab.Source(), dir, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no tests in %s: %v", dir, err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source = append(source, data...)
		}
	}
	for _, c := range checks {
		if !slices.Contains(elsewhere, c.Name) && !regexp.MustCompile(`"([^"\n]*, )?(info|warning|critical) `+c.Name+` `).Match(source) {
			t.Errorf("no test of nodes makes the fault that %s finds", c.Name)
		}
	}
}
