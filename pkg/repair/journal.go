package repair

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Journal is the history of fixes. What it says has been written for good before it is believed.
type Journal struct {
	store    Store
	entries  []*Entry // in the order of their numbers
	warnings []string
	damaged  []byte
	size     int
}

const (
	compactSize = 1 << 20             // bytes above which the journal is compacted
	keepFor     = 30 * 24 * time.Hour // how long what is over is remembered
	keepAtMost  = 1000                // how many fixes that are over are remembered
	keepGone    = 20                  // how many of one target that went with its device, as a tunnel does that is made anew again and again
	maxWarnings = 20
)

// openJournal reads the store. What is torn or damaged at its end is cut off; a damaged record with good ones behind it is left out. Both are warnings.
func openJournal(store Store) (*Journal, error) {
	data, err := store.Load()
	if err != nil {
		return nil, err
	}
	j := &Journal{store: store}
	if err := j.read(data); err != nil {
		return nil, err
	}
	store.Cut(j.size)
	return j, nil
}

func (j *Journal) read(data []byte) error {
	var bad []byte // since the last good record
	rest := data
	for len(rest) > 0 {
		line, behind, whole := bytes.Cut(rest, []byte("\n"))
		raw := rest[:len(rest)-len(behind)]
		rest = behind
		r, err := decode(line)
		switch {
		case errors.Is(err, ErrNewer):
			return fmt.Errorf("read journal: %w", err)
		case err != nil || !whole:
			bad = append(bad, raw...)
			continue
		}
		if len(bad) > 0 {
			j.warn("%d damaged bytes of the journal in front of byte %d are left out", len(bad), len(data)-len(rest)-len(raw))
			j.damaged = append(j.damaged, bad...)
			bad = nil
		}
		j.size = len(data) - len(rest)
		if err := j.take(r); err != nil {
			j.warn("a record of the journal is left out: %v", err)
		}
	}
	if len(bad) > 0 {
		j.warn("the journal ended in %d torn or damaged bytes, which are cut off", len(bad))
	}
	return nil
}

func (j *Journal) warn(format string, args ...any) {
	if len(j.warnings) < maxWarnings {
		j.warnings = append(j.warnings, fmt.Sprintf(format, args...))
	}
}

// take makes the record part of what is known.
func (j *Journal) take(r record) error {
	at, known := slices.BinarySearchFunc(j.entries, r.ID, func(e *Entry, id int) int { return e.ID - id })
	if r.Entry != nil {
		e := r.Entry.clone()
		if known {
			return fmt.Errorf("fix %d begins twice", r.ID)
		}
		j.entries = slices.Insert(j.entries, at, &e)
		return nil
	}
	if !known {
		return fmt.Errorf("fix %d has no beginning", r.ID)
	}
	return r.apply(j.entries[at])
}

// write makes the record last and then part of what is known.
func (j *Journal) write(r record) error {
	data, err := r.encode()
	if err != nil {
		return err
	}
	if err := j.store.Append(data); err != nil {
		return err
	}
	j.size += len(data)
	return j.take(r)
}

func (j *Journal) find(id int) *Entry {
	if at, ok := slices.BinarySearchFunc(j.entries, id, func(e *Entry, id int) int { return e.ID - id }); ok {
		return j.entries[at]
	}
	return nil
}

func (j *Journal) nextID() int {
	if len(j.entries) == 0 {
		return 1
	}
	return j.entries[len(j.entries)-1].ID + 1
}

// compact writes the journal anew once it is large: one record for each fix that is still in force, contested, or not long over. The last fix stays in any case, so that
// no number is given twice.
func (j *Journal) compact(now time.Time, limit int) error {
	if j.size <= limit {
		return nil
	}
	if len(j.damaged) > 0 {
		if err := j.store.Quarantine(j.damaged); err != nil {
			return err
		}
		j.damaged = nil
	}
	kept := retain(j.entries, now)
	var data []byte
	for _, e := range kept {
		line, err := record{At: e.Changed, ID: e.ID, Entry: e}.encode()
		if err != nil {
			return err
		}
		data = append(data, line...)
	}
	if err := j.store.Replace(data); err != nil {
		return err
	}
	j.entries, j.size = kept, len(data)
	return nil
}

func retain(entries []*Entry, now time.Time) (kept []*Entry) {
	over, gone := 0, map[target]int{}
	for i, e := range slices.Backward(entries) {
		if e.InForce() || e.State == Contested {
			kept = append(kept, e)
			continue
		}
		if of := targetOf(e.Steps[0].Change); e.State == Gone && e.SetBack == nil && i < len(entries)-1 {
			if gone[of]++; gone[of] > keepGone {
				continue
			}
		}
		over++
		if i == len(entries)-1 || over <= keepAtMost && now.Sub(e.Changed) < keepFor {
			kept = append(kept, e)
		}
	}
	slices.Reverse(kept)
	return kept
}

// History reads the fixes of a journal's directory without its lock: what a process is writing meanwhile may be absent. Warnings are for people.
func History(dir string) (entries []Entry, warnings []string, err error) {
	data, err := readJournal(dirPath(dir))
	if err != nil {
		return nil, nil, err
	}
	j := &Journal{}
	if err := j.read(data); err != nil {
		return nil, nil, err
	}
	return j.copies(), j.warnings, nil
}

func (j *Journal) copies() []Entry {
	all := make([]Entry, len(j.entries))
	for i, e := range j.entries {
		all[i] = e.clone()
	}
	return all
}
