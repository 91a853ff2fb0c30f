package audit_test

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/facts/redact"
)

// cases are the snapshots of the checks: they have every constellation that a check looks at.
func cases(t *testing.T) map[string]*facts.Snapshot {
	t.Helper()
	paths, err := filepath.Glob("../checks/testdata/*/*.json")
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d snapshots of the checks (%v); want many", len(paths), err)
	}
	out := map[string]*facts.Snapshot{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := facts.Decode(f)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		out[strings.TrimPrefix(path, "../checks/testdata/")] = s
	}
	return out
}

// essence is what of a report must not change when names do.
func essence(s *facts.Snapshot) []string {
	r := audit.Judge(s, checks.All())
	var out []string
	for _, f := range r.Findings {
		out = append(out, fmt.Sprintf("%s %s on %d/%d, %d proofs, %d fixes", f.Severity, f.Check, f.On.NetNS, f.On.Index, len(f.Evidence), len(f.Fixes)))
	}
	for _, k := range r.Skipped {
		out = append(out, fmt.Sprintf("skipped %s, partial %v", k.Check, k.Partial))
	}
	slices.Sort(out)
	return out
}

func TestRedactKeepsFindings(t *testing.T) {
	for name, s := range cases(t) {
		t.Run(name, func(t *testing.T) {
			for seed := range 4 {
				hidden, err := redact.Snapshot(s, []byte{byte(seed)})
				if err != nil {
					t.Fatalf("Snapshot = %v", err)
				}
				if err := hidden.Validate(); err != nil {
					t.Fatalf("redacted snapshot: %v", err)
				}
				if d := gocmp.Diff(essence(s), essence(hidden)); d != "" {
					t.Fatalf("findings of the redacted snapshot, key %d (-before +after):\n%s", seed, d)
				}
			}
		})
	}
}

var (
	addressText = regexp.MustCompile(`[0-9A-Fa-f:.]*[0-9A-Fa-f:]`)
	macText     = regexp.MustCompile(`(?:[0-9a-f]{2}:){5}[0-9a-f]{2}`)
)

// secrets are the addresses of a document that must not be in its redacted one.
func secrets(text string) []string {
	var out []string
	for _, m := range addressText.FindAllString(text, -1) {
		a, err := netip.ParseAddr(m)
		if err == nil && !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && !a.IsLinkLocalUnicast() && !strings.HasSuffix(m, ".0.0.0") && !keptNetwork(m) {
			out = append(out, m)
		}
	}
	for _, m := range macText.FindAllString(text, -1) {
		if m != "ff:ff:ff:ff:ff:ff" && m != "00:00:00:00:00:00" && m != "ee:ee:ee:ee:ee:ee" {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, cmp.Compare)
	return slices.Compact(out)
}

// keptNetwork tells the private ranges themselves.
func keptNetwork(m string) bool {
	return slices.Contains([]string{"100.64.0.0", "172.16.0.0", "192.168.0.0", "0.0.0.0", "fd00::", "fc00::", "fe80::", "255.255.255.255"}, m)
}

func TestRedactLeavesNoAddress(t *testing.T) {
	for name, s := range cases(t) {
		hidden, err := redact.Snapshot(s, []byte("key"))
		if err != nil {
			t.Fatal(err)
		}
		var before, after bytes.Buffer
		if err := s.Encode(&before); err != nil {
			t.Fatal(err)
		}
		if err := hidden.Encode(&after); err != nil {
			t.Fatal(err)
		}
		left := secrets(after.String())
		for _, secret := range secrets(before.String()) {
			if slices.Contains(left, secret) {
				t.Errorf("%s: %s is still in the redacted document", name, secret)
			}
		}
	}
}
