package repair

import (
	"context"
	"errors"
	"slices"
)

// settle deals with what it finds of others: a fix that was being made is taken back, because the reason for it may have passed; one
// that was being undone is undone; one whose values were written is looked at; one of an earlier boot is over, unless its values are in files that were read since.
func (m *Mender) settle(ctx context.Context) error {
	var failed error
	for _, e := range slices.Backward(slices.Clone(m.journal.entries)) {
		was := e.State
		failed = errors.Join(failed, m.settleOne(ctx, e))
		if e.State != was {
			m.settled = append(m.settled, e.clone())
		}
	}
	return errors.Join(failed, m.writeBoot(0, false))
}

func (m *Mender) settleOne(_ context.Context, e *Entry) error {
	lasting := slices.ContainsFunc(e.Steps, func(s Step) bool { return s.Persist })
	switch {
	case !e.InForce():
		return nil
	case e.BootID != m.o.Kernel.BootID() && !lasting:
		return m.takeBack(e, Gone, "the node has been started anew", false)
	case e.State == Begun:
		return m.takeBack(e, Undone, "taken back: the process that made it died", false)
	case e.State == Undoing:
		return m.takeBack(e, e.End, e.Reason, false)
	case e.State == Applied:
		err := m.look(e)
		if !e.InForce() {
			return nil // it has ended, which is no failure
		}
		if err == nil {
			err = m.write(e, record{State: Verified})
		}
		return err
	}
	return nil
}
