package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/fix"
)

// Suite is a valid list of checks with the policy of what may be done about their findings unasked. It does not change after [New].
type Suite struct {
	checks  []*check.Check
	unasked func(check.Finding, fix.Fix) bool
}

// New makes a suite. It fails for a list that [check.Validate] refuses. A nil unasked lets nothing run unasked.
func New(list []*check.Check, unasked func(check.Finding, fix.Fix) bool) (*Suite, error) {
	if err := check.Validate(list); err != nil {
		return nil, fmt.Errorf("validate checks: %w", err)
	}
	if unasked == nil {
		unasked = func(check.Finding, fix.Fix) bool { return false }
	}
	return &Suite{checks: slices.Clone(list), unasked: unasked}, nil
}

// Default is the suite of every check of netmend.
func Default() (*Suite, error) { return New(checks.All(), checks.MayRunUnasked) }

// Checks lists the suite's checks in its order.
func (u *Suite) Checks() []*check.Check { return slices.Clone(u.checks) }

// Unasked says whether the fix with that index may be made without a person asking for it. Only the first fix of a finding may, and only where it
// changes something: the others are alternatives for a person to weigh.
func (u *Suite) Unasked(f check.Finding, index int) bool {
	return index == 0 && len(f.Fixes) > 0 && len(f.Fixes[0].Changes) > 0 && u.unasked(f, f.Fixes[0])
}

// Find gives the check of a name. The error of an unknown one names the nearest.
func (u *Suite) Find(name string) (*check.Check, error) {
	for _, c := range u.checks {
		if c.Name == name {
			return c, nil
		}
	}
	if near := u.nearest(name); near != "" {
		return nil, fmt.Errorf("unknown check %q: did you mean %s?", name, near)
	}
	return nil, fmt.Errorf("unknown check %q: netmendctl checks lists them", name)
}

// Select gives the wanted checks without the unwanted ones, in the suite's order. No wanted name means all.
func (u *Suite) Select(wanted, unwanted []string) ([]*check.Check, error) {
	for _, name := range slices.Concat(wanted, unwanted) {
		if _, err := u.Find(name); err != nil {
			return nil, err
		}
	}
	var out []*check.Check
	for _, c := range u.checks {
		if (len(wanted) == 0 || slices.Contains(wanted, c.Name)) && !slices.Contains(unwanted, c.Name) {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no check is left: everything that was asked for is skipped")
	}
	return out, nil
}

func (u *Suite) nearest(name string) string {
	var known []string
	for _, c := range u.checks {
		known = append(known, c.Name)
	}
	return Nearest(name, known)
}

// Nearest is the known word that most likely was meant; empty where none is near.
func Nearest(word string, known []string) string {
	best, least := "", max(2, len(word)/3)+1
	for _, k := range known {
		d := distance(strings.ToLower(word), strings.ToLower(k))
		if len(word) >= 3 && strings.Contains(strings.ToLower(k), strings.ToLower(word)) {
			d = min(d, 1)
		}
		if d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes of a and b, with a cut to 64 bytes because it may come from a stranger.
func distance(a, b string) int {
	a = a[:min(len(a), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
