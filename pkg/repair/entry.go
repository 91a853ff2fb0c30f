package repair

import (
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// State is where a fix is in its life.
type State string

// The states. Only Begun and Undoing are passed through; a fix that is found in one of them was left by a process that died.
const (
	Begun     State = "begun"     // the plan is in the journal; the steps marked there may have been written
	Applied   State = "applied"   // every step was written and read back
	Verified  State = "verified"  // the values were still ours after the watch
	Undoing   State = "undoing"   // the steps are being taken back
	Undone    State = "undone"    // taken back, by netmend or by somebody else
	Contested State = "contested" // somebody else set a value back twice within an hour; netmend leaves it alone
	Gone      State = "gone"      // an object is not there any more, or the node has been started anew
)

// Step is one change of a fix, with what is needed to find its object again and to take the change back.
type Step struct {
	Change  fix.Change `json:"change"`
	NetNS   uint64     `json:"netns"`             // the namespace in which the knob is; 0: the node's, whichever it is
	NSPath  string     `json:"nsPath,omitempty"`  // a path that opened it; empty for the namespace that the program ran in
	Marked  bool       `json:"marked,omitempty"`  // the kernel may have been written
	Persist bool       `json:"persist,omitempty"` // the value is in a file that is read at boot, or whenever the device appears
	// Beside holds the other sysctls that a write of this one resets, as they were before: writing ip_forward resets accept_redirects and every
	// link's forwarding (inet_forward_change in net/ipv4/devinet.c).
	Beside map[string]string `json:"beside,omitempty"`
	Left   string            `json:"left,omitempty"` // why an undo left the value alone
}

// Entry is one application of a fix.
type Entry struct {
	ID       int        `json:"id"`
	Check    string     `json:"check"`
	Title    string     `json:"title"`
	Cost     string     `json:"cost,omitempty"`
	On       facts.Ref  `json:"on"`
	State    State      `json:"state"`
	Reason   string     `json:"reason,omitempty"` // of the last state, where it does not go without saying
	By       string     `json:"by"`               // the program that made it
	BootID   string     `json:"bootID"`
	Began    time.Time  `json:"began"`
	Changed  time.Time  `json:"changed"`           // when the state was reached
	SetBack  *time.Time `json:"setBack,omitempty"` // when it was seen that somebody else had changed a value
	End      State      `json:"end,omitempty"`     // of an entry that is being undone: what it will be then
	Warnings []string   `json:"warnings,omitempty"`
	Steps    []Step     `json:"steps"`
}

// InForce says whether values of the fix are, or may be, in the kernel.
func (e *Entry) InForce() bool {
	switch e.State {
	case Begun, Applied, Verified, Undoing:
		return true
	}
	return false
}

// target is a knob of an object, by which applications are counted. It has no interface index: a device that is re-created again and again is the same target.
type target struct {
	knob  fix.Knob
	netns uint64
	name  string
}

func targetOf(c fix.Change) target { return target{c.Knob, c.On.NetNS, c.On.Name} }

// touches says whether a step of the entry is about a target of the changes.
func (e *Entry) touches(changes []fix.Change) bool {
	for _, s := range e.Steps {
		for _, c := range changes {
			if targetOf(s.Change) == targetOf(c) {
				return true
			}
		}
	}
	return false
}

// does says whether a step of the entry has set what one of the changes would set.
func (e *Entry) does(changes []fix.Change) bool {
	for _, s := range e.Steps {
		for _, c := range changes {
			if s.Change.Knob == c.Knob && s.Change.On == c.On && fix.SameValue(c.Knob, s.Change.To, c.To) {
				return true
			}
		}
	}
	return false
}

func (e *Entry) changes() []fix.Change {
	all := make([]fix.Change, len(e.Steps))
	for i, s := range e.Steps {
		all[i] = s.Change
	}
	return all
}

// clone is a copy that shares nothing that is changed later.
func (e *Entry) clone() Entry {
	c := *e
	c.Steps = append([]Step(nil), e.Steps...)
	c.Warnings = append([]string(nil), e.Warnings...)
	return c
}
