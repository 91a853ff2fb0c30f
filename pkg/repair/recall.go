package repair

import (
	"errors"

	"golang.org/x/sys/unix"
)

// stamp tells one state of a journal's file from another. The file only grows, or is replaced by another one, so that whoever has written to it has changed
// its size or its number.
type stamp struct {
	dev, ino uint64
	size     int64
	mtime    unix.Timespec
	whole    int64 // of the size, without what is torn
}

// stampOf gives nil where there is no file, or none that can be told from another.
func stampOf(s Store) *stamp {
	d, ok := s.(*dirStore)
	if !ok {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(d.path(), &st); err != nil {
		return nil
	}
	return &stamp{uint64(st.Dev), st.Ino, st.Size, st.Mtim, d.size}
}

// recall makes the journal of what an earlier Mender knew of the store; nil where that is not what the store holds. The lock is held by now: nobody writes.
func recall(m *Mender, s Store) (*Journal, error) {
	if m == nil || m.left == nil || m.journal == nil {
		return nil, nil
	}
	now := stampOf(s)
	if now == nil {
		return nil, nil
	}
	now.whole = m.left.whole
	if *now != *m.left || int64(m.journal.size) != now.whole {
		return nil, nil
	}
	was, ok := m.store.(*dirStore)
	if !ok || was.dir != s.(*dirStore).dir {
		return nil, errors.New("open journal: the earlier Mender is of another directory")
	}
	j := &Journal{store: s, entries: m.journal.entries, size: m.journal.size, damaged: m.journal.damaged}
	m.journal = nil
	s.Cut(j.size)
	return j, nil
}
