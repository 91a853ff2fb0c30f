package audit

import (
	"fmt"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/fix"
)

// Propose gives the fixes that are to be made for a report's findings: those that may be made unasked and, of the checks that are named, the first that changes something. The
// others come with the reason why not.
func (u *Suite) Propose(r *check.Report, named []string) (proposals []fix.Proposal, others []fix.Refusal) {
	for _, f := range r.Findings {
		p := fix.Proposal{Check: f.Check, On: f.On, Message: f.Message}
		change := slices.IndexFunc(f.Fixes, func(x fix.Fix) bool { return len(x.Changes) > 0 })
		switch {
		case u.Unasked(f, 0):
			p.Fix = f.Fixes[0]
			proposals = append(proposals, p)
		case change >= 0 && slices.Contains(named, f.Check):
			p.Fix = f.Fixes[change]
			proposals = append(proposals, p)
		case change >= 0:
			p.Fix = f.Fixes[change]
			others = append(others, fix.Refusal{Proposal: p, Why: fmt.Sprintf("it is made only when it is named: --check %s", f.Check)})
		case len(f.Fixes) > 0:
			p.Fix = f.Fixes[0]
			others = append(others, fix.Refusal{Proposal: p, Why: fmt.Sprintf("only a person can do it: netmendctl explain %s", f.Check)})
		default:
			others = append(others, fix.Refusal{Proposal: p, Why: "no fix is known"})
		}
	}
	return proposals, others
}
