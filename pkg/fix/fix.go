package fix

import (
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// Change sets one knob of one object. From is the precondition, To is what a verification reads back; swapped they are the undo.
type Change struct {
	Knob Knob      `json:"knob"`
	On   facts.Ref `json:"on"`
	From string    `json:"from"`
	To   string    `json:"to"`
}

// Fix is a way to mend a finding. Its changes are made all or none, and undone in reverse. One without changes is advice: what a person
// should do, because no program should (CHECKS: "never automatic").
type Fix struct {
	Title   string   `json:"title"`
	Cost    string   `json:"cost"` // what it costs or may break, in one sentence
	Changes []Change `json:"changes,omitempty"`
	Advice  []string `json:"advice,omitempty"` // exact commands, or a file and its line, in the order in which they are to be done
}

// Undo is the fix that takes f back.
func (f Fix) Undo() Fix {
	u := Fix{Title: "undo: " + f.Title}
	for _, c := range slices.Backward(f.Changes) {
		u.Changes = append(u.Changes, Change{Knob: c.Knob, On: c.On, From: c.To, To: c.From})
	}
	return u
}
