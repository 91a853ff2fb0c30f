package audit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/fix"
)

// Choice names a check whose fixes are asked for and, where it offers several, which: 1 is the first. With 0 it is the first that changes something.
type Choice struct {
	Check string
	Fix   int
}

// ParseChoice reads NAME or NAME=NUMBER.
func ParseChoice(text string) (Choice, error) {
	name, number, given := strings.Cut(text, "=")
	if !given {
		return Choice{Check: name}, nil
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 {
		return Choice{}, fmt.Errorf("%q: the number of a fix is 1 or more, as in %s=2", text, name)
	}
	return Choice{name, n}, nil
}

// Propose gives the fixes that are to be made for a report's findings: those that may be made unasked and, of the checks that are chosen, the chosen ones. The
// others come with the reason why not.
func (u *Suite) Propose(r *check.Report, chosen []Choice) (proposals []fix.Proposal, others []fix.Refusal) {
	for _, f := range r.Findings {
		p := fix.Proposal{Check: f.Check, On: f.On, Message: f.Message}
		i, why := u.pick(f, chosen)
		if i >= 0 {
			p.Fix = f.Fixes[i]
		}
		if why == "" {
			proposals = append(proposals, p)
		} else {
			others = append(others, fix.Refusal{Proposal: p, Why: why})
		}
	}
	return proposals, others
}

// pick gives the fix that would mend a finding, -1 where there is none, and why it is not to be made, if so.
func (u *Suite) pick(f check.Finding, chosen []Choice) (index int, why string) {
	changes := func(x fix.Fix) bool { return len(x.Changes) > 0 }
	at := slices.IndexFunc(chosen, func(c Choice) bool { return c.Check == f.Check })
	index = slices.IndexFunc(f.Fixes, changes)
	switch {
	case len(f.Fixes) == 0:
		return -1, "no fix is known"
	case at >= 0 && chosen[at].Fix > len(f.Fixes):
		return 0, fmt.Sprintf("it offers %d fixes", len(f.Fixes))
	case at >= 0 && chosen[at].Fix > 0:
		index = chosen[at].Fix - 1
	case u.Unasked(f, 0):
		return 0, ""
	}
	switch {
	case index < 0:
		return 0, "only a person can do it: netmendctl explain " + f.Check
	case !changes(f.Fixes[index]):
		return index, "only a person can do it: netmendctl explain " + f.Check
	case at < 0:
		return index, "it is made only when it is asked for: --check " + f.Check
	}
	return index, ""
}
