package fix

import "github.com/netmend/netmend/pkg/facts"

// Proposal is a fix with what it is for: the check that found something, the object and the finding's line.
type Proposal struct {
	Check   string    `json:"check"`
	On      facts.Ref `json:"on"`
	Message string    `json:"message"`
	Fix     Fix       `json:"fix"`
}

// Refusal is a proposal that is not followed, and why.
type Refusal struct {
	Proposal Proposal `json:"proposal"`
	Why      string   `json:"why"`
}

// Plan makes one plan of proposals, in their order. The same changes proposed twice are made once; of two fixes that want one knob of one object
// with different values neither is made, because nothing says which is right.
func Plan(proposals []Proposal) (plan []Proposal, refused []Refusal) {
	var fixes []Fix
	for _, p := range proposals {
		fixes = append(fixes, p.Fix)
	}
	against := map[int]string{}
	for _, c := range Conflicts(fixes) {
		for i, at := range c.Fixes {
			other := proposals[c.Fixes[1-i]]
			against[at] = c.String() + ", the other by " + other.Check + " (" + other.Fix.Title + ")"
		}
	}
	done := map[Change]string{}
	for i, p := range proposals {
		if why, ok := against[i]; ok {
			refused = append(refused, Refusal{p, "in conflict: " + why})
			continue
		}
		if by, ok := covered(done, p.Fix); ok {
			refused = append(refused, Refusal{p, "the fix for " + by + " does the same"})
			continue
		}
		for _, c := range p.Fix.Changes {
			done[c] = p.Check
		}
		plan = append(plan, p)
	}
	return plan, refused
}

// covered says whether any change of the fix is made already, and by whom. A fix is all or nothing, so that one common change is enough to wait for the next audit.
func covered(done map[Change]string, f Fix) (by string, ok bool) {
	for _, c := range f.Changes {
		if by, ok := done[c]; ok {
			return by, true
		}
	}
	return "", false
}
