package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
)

// Errors by which a fix is refused before anything is touched.
var (
	ErrContested = errors.New("somebody else sets the value back")
	ErrBudget    = errors.New("too many times within the hour")
	ErrInForce   = errors.New("the fix is in force already")
	ErrNotOurs   = errors.New("the value is not netmend's any more")
	ErrNoFix     = errors.New("no such fix in the journal")
)

// Limits within an hour.
const (
	Hour            = time.Hour
	MaxSetBacks     = 2 // a value that was set back so often is contested
	MaxApplications = 3 // of fixes to one knob of one object
)

// Options is what a Mender works with. Kernel is needed, and Dir or Store.
type Options struct {
	Kernel  Kernel
	Dir     string        // of the journal and its lock
	Store   Store         // instead of Dir
	Earlier *Mender       // one of the same Dir that was closed: what it knew is not read again where nobody has written since; may be nil
	Wait    time.Duration // how long another process may keep the journal before Open fails with ErrBusy
	Who     string        // the program, for the history and for whoever finds the journal locked

	Boot BootFiles // nil: nothing outlives a boot
	Udev bool      // offload features outlive the device: a udev rule sets them again
	// Anew is for whoever mends devices as soon as they are made, again and again: one that was made anew is another one, and fixes that ended with their device
	// do not count towards the limit; and what need not be watched is verified with one record, which spares waiting for the disk.
	Anew     bool
	Suspects func(c fix.Change) string // what is known of who else sets a value, for people; may be nil

	Watch time.Duration // how long a value must have stayed before the fix is verified; 0: it is read back once
	Pause time.Duration // between two looks while watching; 0: 100 ms

	Now   func() time.Time                           // nil: time.Now
	Sleep func(context.Context, time.Duration) error // nil: for real
}

// Mender makes fixes and takes them back. It holds the journal's lock until Close; it is for one goroutine.
type Mender struct {
	o        Options
	journal  *Journal
	store    Store
	settled  []Entry
	warnings []string
	left     *stamp // of the journal when it was closed
}

// Open takes the lock, reads the journal and settles what a process left that died, or a boot that ended: [Mender.Settled] says what.
func Open(ctx context.Context, o Options) (*Mender, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Pause == 0 {
		o.Pause = 100 * time.Millisecond
	}
	store := o.Store
	if store == nil {
		s, err := openDir(ctx, o.Dir, o.Who, o.Wait)
		if err != nil {
			return nil, err
		}
		store = s
	}
	journal, err := recall(o.Earlier, store)
	if journal == nil && err == nil {
		journal, err = openJournal(store)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	o.Earlier = nil // it has given what it had
	m := &Mender{o: o, journal: journal, store: store, warnings: journal.warnings}
	if err := m.settle(ctx); err != nil {
		m.warn("settle what was left: %v", err)
	}
	if err := journal.compact(o.Now(), compactSize); err != nil {
		m.warn("%v", err)
	}
	return m, nil
}

// Close gives the lock back.
func (m *Mender) Close() error {
	m.left = stampOf(m.store)
	return m.store.Close()
}

// Entries are all fixes that the journal knows, in their order.
func (m *Mender) Entries() []Entry { return m.journal.copies() }

// Settled are the fixes whose state Open has changed.
func (m *Mender) Settled() []Entry { return m.settled }

// Warnings are what a person should know and what stopped nothing.
func (m *Mender) Warnings() []string { return m.warnings }

func (m *Mender) warn(format string, args ...any) {
	m.warnings = append(m.warnings, fmt.Sprintf(format, args...))
}

// write makes a change of an entry last.
func (m *Mender) write(e *Entry, r record) error {
	r.ID, r.At = e.ID, m.o.Now().UTC()
	return m.journal.write(r)
}

// step is the entry's step as it is to be looked for now. After a boot, and where a udev rule follows a device, that is by the names alone; only the node's own values outlive a boot.
func (m *Mender) step(e *Entry, i int) (Step, error) {
	s := e.Steps[i]
	switch {
	case s.Persist && (e.BootID != m.o.Kernel.BootID() || follows(s.Change)):
		s.NetNS, s.Change.On.Index = 0, 0
	case e.BootID != m.o.Kernel.BootID():
		return s, fmt.Errorf("%w: the node has been started anew", host.ErrGone)
	}
	return s, nil
}

// get reads the entry's step.
func (m *Mender) get(e *Entry, i int) (string, error) {
	s, err := m.step(e, i)
	if err != nil {
		return "", err
	}
	return m.o.Kernel.Get(s)
}

func (m *Mender) set(e *Entry, i int, from, to string) error {
	s, err := m.step(e, i)
	if err != nil {
		return err
	}
	return m.o.Kernel.Set(s, from, to)
}

// inForce finds the fixes in force that touch what the changes do, but one, the newest first.
func (m *Mender) inForce(changes []fix.Change, but int) (found []*Entry) {
	for _, e := range slices.Backward(m.journal.entries) {
		if e.ID != but && e.InForce() && e.touches(changes) {
			found = append(found, e)
		}
	}
	return found
}

// later is the fix that has changed the step's value after the entry did and is in force; nil where the entry's is the last word.
func (m *Mender) later(e *Entry, i int) *Entry {
	if found := m.inForce([]fix.Change{e.Steps[i].Change}, e.ID); len(found) > 0 && found[0].ID > e.ID {
		return found[0]
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
