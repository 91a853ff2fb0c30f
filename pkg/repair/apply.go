package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
		if now.Sub(e.Began) < Hour {
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
		if err == nil {
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
	if err := m.writeBoot(e.ID, true); err != nil {
		applied.Volatile, applied.Warnings = true, []string{fmt.Sprintf("it will not outlive a boot: %v", err)}
	}
	if err := m.write(e, applied); err != nil {
		return m.rollback(e, -1, err)
	}
	return m.verify(ctx, e)
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
	return errors.Join(cause, forced, m.takeBack(e, Undone, fmt.Sprintf("taken back: %v", cause), false))
}

// verify watches whether the values stay.
func (m *Mender) verify(ctx context.Context, e *Entry) error {
	for end := m.o.Now().Add(m.o.Watch); ; {
		if err := m.look(e); err != nil || !e.InForce() {
			return err
		}
		if !m.o.Now().Before(end) {
			return m.write(e, record{State: Verified})
		}
		if err := m.o.Sleep(ctx, m.o.Pause); err != nil {
			return err // it stays applied; the next look verifies it
		}
	}
}

// look compares a fix in force with the kernel. A value that somebody else has changed, or an object that is gone, ends it: its other values are
// taken back. It gives an error where the fix has ended or could not be looked at.
func (m *Mender) look(e *Entry) error {
	var changed, missing []string
	for i, s := range e.Steps {
		if m.later(e, i) != nil {
			continue
		}
		got, err := m.get(e, i)
		switch {
		case errors.Is(err, host.ErrGone) && s.Persist && follows(s.Change):
			// the device may come again
		case errors.Is(err, host.ErrGone):
			missing = append(missing, err.Error())
		case err != nil:
			return err
		case !fix.SameValue(s.Change.Knob, got, s.Change.To) && e.BootID != m.o.Kernel.BootID():
			missing = append(missing, "since the node was started anew "+m.suspect(s.Change, got))
		case !fix.SameValue(s.Change.Knob, got, s.Change.To):
			changed = append(changed, m.suspect(s.Change, got))
		}
	}
	switch {
	case len(changed) > 0:
		return m.setBack(e, changed)
	case len(missing) > 0:
		return errors.Join(fmt.Errorf("%w: %s", host.ErrGone, missing[0]), m.takeBack(e, Gone, missing[0], false))
	}
	return nil
}

// suspect says what a value has become and, as far as it is known, by whom.
func (m *Mender) suspect(c fix.Change, got string) string {
	text := fmt.Sprintf("%s on %s is %q, not %q", c.Knob, c.On.Name, got, c.To)
	if m.o.Suspects != nil {
		if who := m.o.Suspects(c); who != "" {
			text += " (" + who + ")"
		}
	}
	return text
}

// setBack ends a fix whose value somebody else has changed. The second time within an hour it is contested.
func (m *Mender) setBack(e *Entry, changed []string) error {
	times, now := 1, m.o.Now()
	for _, o := range m.journal.entries {
		if o.ID != e.ID && o.SetBack != nil && now.Sub(*o.SetBack) < Hour && o.touches(e.changes()) {
			times++
		}
	}
	state, reason := Undone, "somebody else changed it: "+changed[0]
	if times >= MaxSetBacks {
		state, reason = Contested, fmt.Sprintf("somebody else changed it %d times within an hour: %s", times, changed[0])
	}
	return errors.Join(fmt.Errorf("%w: %s", ErrContested, changed[0]), m.takeBack(e, state, reason, true))
}

// Look compares every fix in force with the kernel and gives those that have ended: set back, contested, or gone with their object.
func (m *Mender) Look(context.Context) (ended []Entry, err error) {
	for _, e := range slices.Clone(m.journal.entries) {
		if e.State != Applied && e.State != Verified {
			continue
		}
		failed := m.look(e)
		if !e.InForce() {
			ended = append(ended, e.clone())
		} else {
			err = errors.Join(err, failed)
		}
	}
	return ended, err
}
