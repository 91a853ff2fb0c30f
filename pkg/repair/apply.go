package repair

import (
	"context"
	"errors"
	"fmt"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
)

// Apply makes one fix. The entry says what has become of it; without an error it is verified. With an error the kernel is as before, but for what the entry
// says was left; an entry with number 0 means that nothing was begun.
func (m *Mender) Apply(ctx context.Context, p fix.Proposal) (Entry, error) {
	steps, err := m.prepare(p)
	if err != nil {
		return Entry{}, fmt.Errorf("%s: %w", p.Fix.Title, err)
	}
	e, err := m.begin(p, steps)
	if err != nil {
		return Entry{}, fmt.Errorf("%s: %w", p.Fix.Title, err)
	}
	if err := m.run(ctx, e); err != nil {
		return e.clone(), fmt.Errorf("%s: %w", p.Fix.Title, err)
	}
	return e.clone(), nil
}

// prepare looks whether the fix may be made, and finds its objects.
func (m *Mender) prepare(p fix.Proposal) ([]Step, error) {
	if len(p.Fix.Changes) == 0 {
		return nil, errors.New("it is advice: it has no changes that a program could make")
	}
	if err := twice(p.Fix.Changes); err != nil {
		return nil, err
	}
	if err := m.allowed(p.Fix.Changes); err != nil {
		return nil, err
	}
	steps := make([]Step, len(p.Fix.Changes))
	for i, c := range p.Fix.Changes {
		s, err := m.o.Kernel.Prepare(c)
		if err != nil {
			return nil, err
		}
		got, err := m.o.Kernel.Get(s)
		if err != nil {
			return nil, err
		}
		if !fix.SameValue(c.Knob, got, c.From) {
			return nil, fmt.Errorf("%s on %s: %w: it is %q, not %q", c.Knob, c.On.Name, fix.ErrPrecondition, got, c.From)
		}
		s.Persist = m.o.Boot != nil && s.Persist && (m.o.Udev || !follows(c))
		steps[i] = s
	}
	return steps, nil
}

// twice refuses a fix that sets one knob of one object twice: it would have no single value to verify.
func twice(changes []fix.Change) error {
	for i, c := range changes {
		for _, d := range changes[:i] {
			if targetOf(c) == targetOf(d) {
				return fmt.Errorf("%s on %s is set twice by one fix", c.Knob, c.On.Name)
			}
		}
	}
	return nil
}

// allowed refuses what is contested, in force already, or was done too often. Fixes in force are looked at first: one that somebody else has taken back ends here.
func (m *Mender) allowed(changes []fix.Change) error {
	for _, e := range m.inForce(changes, 0) {
		if err := m.look(e); err != nil && e.InForce() {
			return err
		}
	}
	now, times := m.o.Now(), 0
	for _, e := range m.journal.entries {
		if !e.touches(changes) {
			continue
		}
		switch {
		case e.State == Contested && e.BootID == m.o.Kernel.BootID():
			return fmt.Errorf("%w (fix %d: %s); netmendctl undo %d lets netmend try again", ErrContested, e.ID, e.Reason, e.ID)
		case e.InForce() && e.does(changes):
			return fmt.Errorf("%w (fix %d)", ErrInForce, e.ID)
		}
		if now.Sub(e.Began) < Hour && !(m.o.Anew && e.State == Gone) {
			times++
		}
	}
	if times >= MaxApplications {
		return fmt.Errorf("%w: %d fixes of the same knob since %s", ErrBudget, times, now.Add(-Hour).Format("15:04"))
	}
	return nil
}

func (m *Mender) begin(p fix.Proposal, steps []Step) (*Entry, error) {
	now := m.o.Now().UTC()
	// The mark of the first step comes with the beginning, which spares waiting for the disk once more before the kernel is written. A step that resets others
	// is marked just before it is made: until then those are not netmend's to restore.
	steps[0].Marked = len(steps[0].Beside) == 0
	e := &Entry{
		ID: m.journal.nextID(), Check: p.Check, Title: p.Fix.Title, Cost: p.Fix.Cost, On: p.On, State: Begun, By: m.o.Who,
		BootID: m.o.Kernel.BootID(), Began: now, Changed: now, Steps: steps,
	}
	if err := m.write(e, record{Entry: e}); err != nil {
		return nil, fmt.Errorf("%w: nothing was changed", err)
	}
	return m.journal.find(e.ID), nil
}

// run makes the steps of a fix that is in the journal.
func (m *Mender) run(ctx context.Context, e *Entry) error {
	for i := range e.Steps {
		err := ctx.Err()
		if err == nil && !e.Steps[i].Marked {
			err = m.write(e, record{Mark: &i})
		}
		if err == nil {
			c := e.Steps[i].Change
			err = m.set(e, i, c.From, c.To)
		}
		if err != nil {
			return m.rollback(e, i, err)
		}
	}
	applied := record{State: Applied}
	if m.o.Anew && m.o.Watch == 0 && m.holds(e) { // nobody wants to watch it: one record says both
		applied.State = Verified
	}
	if err := m.writeBoot(e.ID, true); err != nil {
		applied.Volatile, applied.Warnings = true, []string{fmt.Sprintf("it will not outlive a boot: %v", err)}
	}
	if err := m.write(e, applied); err != nil {
		return m.rollback(e, -1, err)
	}
	if applied.State == Verified {
		return nil
	}
	return m.verify(ctx, e)
}

// holds says whether every value is what the fix has made it.
func (m *Mender) holds(e *Entry) bool {
	for i, s := range e.Steps {
		got, err := m.get(e, i)
		if err != nil || !fix.SameValue(s.Change.Knob, got, s.Change.To) {
			return false
		}
	}
	return true
}

// rollback takes back what was done of a fix that failed. Where the kernel took another value than was written, that one is netmend's too.
func (m *Mender) rollback(e *Entry, failed int, cause error) error {
	var forced error
	if failed >= 0 && errors.Is(cause, host.ErrNotTaken) {
		c := e.Steps[failed].Change
		if got, err := m.get(e, failed); err == nil && !fix.SameValue(c.Knob, got, c.From) {
			forced = m.set(e, failed, got, c.From)
		}
	}
	end := Undone
	if m.o.Anew && errors.Is(cause, host.ErrGone) {
		end = Gone
	}
	return errors.Join(cause, forced, m.takeBack(e, end, fmt.Sprintf("taken back: %v", cause), false))
}
