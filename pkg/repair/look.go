package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
)

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
	gone := 0
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
			gone++
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
	case len(missing) > 0 && len(missing) == len(e.Steps) && gone == len(missing):
		return errors.Join(fmt.Errorf("%w: %s", host.ErrGone, missing[0]), m.bury(e, missing))
	case len(missing) > 0:
		return errors.Join(fmt.Errorf("%w: %s", host.ErrGone, missing[0]), m.takeBack(e, Gone, missing[0], false))
	}
	return nil
}

// bury ends a fix of which every object is gone: there is nothing to take back, and so no more than the end to write down.
func (m *Mender) bury(e *Entry, missing []string) error {
	if err := m.writeBoot(e.ID, false); err != nil {
		return err
	}
	left := map[int]string{}
	for i, why := range missing {
		left[i] = why
	}
	return m.write(e, record{State: Gone, Reason: missing[0], Left: left})
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
