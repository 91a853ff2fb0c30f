package repair

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
)

// Undo takes one fix back: each value that is still netmend's gets what it was before; one that somebody else has changed is left alone, and the entry
// says so. Of a contested fix it only lifts the ban.
func (m *Mender) Undo(_ context.Context, id int) (Entry, error) {
	e := m.journal.find(id)
	switch {
	case e == nil:
		return Entry{}, fmt.Errorf("undo %d: %w", id, ErrNoFix)
	case e.State == Contested:
		err := m.write(e, record{State: Undone, Reason: "the ban was lifted"})
		return e.clone(), err
	case !e.InForce():
		return e.clone(), fmt.Errorf("undo %d: the fix is %s already", id, e.State)
	}
	for _, later := range m.inForce(e.changes(), id) {
		if later.ID > id {
			return e.clone(), fmt.Errorf("undo %d: fix %d has changed the same since: undo that first", id, later.ID)
		}
	}
	if err := m.takeBack(e, Undone, "", false); err != nil {
		return e.clone(), fmt.Errorf("undo %d: %w", id, err)
	}
	return e.clone(), nil
}

// UndoAll takes every fix in force back, the last first. It goes on after an error.
func (m *Mender) UndoAll(ctx context.Context) (undone []Entry, err error) {
	for _, e := range slices.Backward(slices.Clone(m.journal.entries)) {
		if !e.InForce() {
			continue
		}
		entry, failed := m.Undo(ctx, e.ID)
		undone = append(undone, entry)
		err = errors.Join(err, failed)
	}
	return undone, err
}

// takeBack undoes the marked steps in reverse and ends the entry in the state. A full disk does not keep it from doing so: what was before
// is in the journal already, and the end is found again by looking at the values.
func (m *Mender) takeBack(e *Entry, end State, reason string, setBack bool) error {
	unwritten := m.write(e, record{State: Undoing, Reason: reason, End: end, SetBack: setBack})
	left := map[int]string{}
	var failed error
	for i := range slices.Backward(e.Steps) {
		if !e.Steps[i].Marked {
			continue
		}
		why, err := m.restore(e, i)
		if why != "" {
			left[i] = why
		}
		failed = errors.Join(failed, err)
	}
	if failed = errors.Join(failed, m.writeBoot(e.ID, false)); failed != nil {
		return errors.Join(failed, unwritten) // it stays as it is, and the next Open tries again
	}
	return errors.Join(unwritten, m.write(e, record{State: end, Reason: reason, Left: left}))
}

// restore gives one knob its old value where the present one is netmend's, and then those beside it that the write has reset. It says why it left
// the value alone, if it did.
func (m *Mender) restore(e *Entry, i int) (left string, err error) {
	c := e.Steps[i].Change
	if by := m.later(e, i); by != nil {
		return fmt.Sprintf("fix %d has changed it since", by.ID), nil
	}
	got, err := m.get(e, i)
	switch {
	case errors.Is(err, host.ErrGone):
		return err.Error(), nil
	case err != nil:
		return "", err
	case fix.SameValue(c.Knob, got, c.From):
		return "", m.restoreBeside(e, i, nil)
	case !fix.SameValue(c.Knob, got, c.To) && got != fix.Partial:
		return fmt.Sprintf("%s: it is %q, not %q", ErrNotOurs, got, c.To), nil
	}
	before, err := m.beside(e, i)
	if err != nil {
		return "", err
	}
	err = m.set(e, i, got, c.From)
	if errors.Is(err, host.ErrGone) {
		return err.Error(), nil
	}
	if err != nil {
		return "", err
	}
	return "", m.restoreBeside(e, i, before)
}

// beside reads the sysctls that stand beside the step's, as they are now.
func (m *Mender) beside(e *Entry, i int) (map[string]string, error) {
	values := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(e.Steps[i].Beside)) {
		s, err := m.besideStep(e, i, path)
		if err != nil {
			return nil, err
		}
		got, err := m.o.Kernel.Get(s)
		if err != nil && !errors.Is(err, host.ErrGone) {
			return nil, err
		}
		if err == nil {
			values[path] = got
		}
	}
	return values, nil
}

// restoreBeside sets again what the write of the step's old value has reset: what is different from just before the write and from before the fix. What
// somebody else has set meanwhile, and the write has left, stays. Before is nil where a process died between the two.
func (m *Mender) restoreBeside(e *Entry, i int, before map[string]string) error {
	now, err := m.beside(e, i)
	if err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(now)) {
		got, want := now[path], e.Steps[i].Beside[path]
		if got == want || before != nil && got == before[path] {
			continue
		}
		s, err := m.besideStep(e, i, path)
		if err == nil {
			err = m.o.Kernel.Set(s, got, want)
		}
		if err != nil && !errors.Is(err, host.ErrGone) {
			return err
		}
	}
	return nil
}

func (m *Mender) besideStep(e *Entry, i int, path string) (Step, error) {
	s, err := m.step(e, i)
	s.Change.Knob, s.Change.On.Index = fix.Sysctl(path), 0
	return s, err
}
