//go:build linux

package main

import (
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/report"
)

// mendDocument is what fix has planned and done. Fields are added, never changed.
type mendDocument struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Node       string        `json:"node"`
	Taken      time.Time     `json:"taken"`
	DryRun     bool          `json:"dryRun"`
	Plan       []plannedFix  `json:"plan"`
	NotPlanned []omittedFix  `json:"notPlanned"`
	Results    []resultOfFix `json:"results"`
	Warnings   []string      `json:"warnings"`
}

type plannedFix struct {
	Check    string       `json:"check"`
	On       facts.Ref    `json:"on"`
	Where    string       `json:"where"`
	Message  string       `json:"message"`
	Title    string       `json:"title"`
	Cost     string       `json:"cost"`
	Changes  []fix.Change `json:"changes"`
	Commands []string     `json:"commands"` // that do the same
	Undo     []string     `json:"undo"`     // that take it back
	Warnings []string     `json:"warnings"` // files that set another value at boot
}

type omittedFix struct {
	Check   string    `json:"check"`
	On      facts.Ref `json:"on"`
	Where   string    `json:"where"`
	Message string    `json:"message"`
	Title   string    `json:"title"`
	Why     string    `json:"why"`
}

type resultOfFix struct {
	ID       int          `json:"id"` // of the journal; 0: nothing was begun
	Check    string       `json:"check"`
	On       facts.Ref    `json:"on"`
	Where    string       `json:"where"`
	State    repair.State `json:"state,omitempty"`
	Error    string       `json:"error,omitempty"`
	Proved   bool         `json:"proved"`          // the check finds nothing on the object any more, or less
	Still    string       `json:"still,omitempty"` // what it finds now
	Warnings []string     `json:"warnings,omitempty"`
}

func newMendDocument(s *facts.Snapshot, plan []fix.Proposal, others []fix.Refusal) *mendDocument {
	d := &mendDocument{
		APIVersion: report.APIVersion, Kind: "FixReport", Node: s.Node.Name, Taken: s.Taken,
		Plan: []plannedFix{}, NotPlanned: []omittedFix{}, Results: []resultOfFix{}, Warnings: []string{},
	}
	for _, p := range plan {
		d.Plan = append(d.Plan, plannedFix{
			Check: p.Check, On: p.On, Where: report.Where(s, p.On), Message: p.Message, Title: p.Fix.Title, Cost: p.Fix.Cost,
			Changes: p.Fix.Changes, Commands: fix.Commands(s, p.Fix), Undo: undoCommands(s, p.Fix), Warnings: bootWarnings(s, p.Fix),
		})
	}
	for _, r := range others {
		p := r.Proposal
		d.NotPlanned = append(d.NotPlanned, omittedFix{
			Check: p.Check, On: p.On, Where: report.Where(s, p.On), Message: p.Message, Title: p.Fix.Title, Why: r.Why,
		})
	}
	return d
}

// undoCommands are those that a person would type on the node as it is after the fix.
func undoCommands(s *facts.Snapshot, f fix.Fix) []string {
	after, err := fix.Apply(s, f)
	if err != nil {
		after = s
	}
	return fix.Commands(after, f.Undo())
}

func newResult(s *facts.Snapshot, p fix.Proposal, e repair.Entry, err error) resultOfFix {
	r := resultOfFix{ID: e.ID, Check: p.Check, On: p.On, Where: report.Where(s, p.On), State: e.State, Warnings: e.Warnings}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// prove looks for the finding in a new report. A fix whose object the check has nothing to say about any more, because it could not look, is not proved.
func (r *resultOfFix) prove(now *check.Report) {
	if r.Error != "" {
		return
	}
	skipped := slices.ContainsFunc(now.Skipped, func(k check.Skip) bool { return k.Check == r.Check && !k.Partial && k.On == nil })
	r.Proved = !skipped
	if skipped {
		r.Still = "the check could not be run again"
	}
	for _, f := range now.Findings {
		if f.Check == r.Check && f.On == r.On {
			r.Proved, r.Still = f.Severity == check.Info, f.Message
		}
	}
}

// failed says whether something that was planned was not done, or not proved.
func (d *mendDocument) failed() bool {
	return !d.DryRun && len(d.Results) < len(d.Plan) || slices.ContainsFunc(d.Results, func(r resultOfFix) bool { return !r.Proved })
}

// bootWarnings name the files that set another value than the fix at boot. Netmend's own is the last of sysctl.d but for those whose names come later; sysctl(8)
// reads /etc/sysctl.conf after all of them.
func bootWarnings(s *facts.Snapshot, f fix.Fix) []string {
	warnings := []string{}
	for _, c := range f.Changes {
		for _, set := range audit.Settings(s, c) {
			if fix.SameValue(c.Knob, set.Value, c.To) {
				continue
			}
			text := fmt.Sprintf("%s:%d sets it to %q at boot", set.File, set.Line, set.Value)
			if set.File == "/etc/sysctl.conf" || path.Base(set.File) > "99-netmend.conf" {
				text += ", after netmend's file: change it there"
			}
			warnings = append(warnings, text)
		}
	}
	return warnings
}
