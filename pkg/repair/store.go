package repair

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/nodefs"
)

// Store keeps the journal's bytes. Append and Replace return when the bytes would outlive a power cut, or change nothing that a later Load gives back
// whole.
type Store interface {
	Load() ([]byte, error) // of a journal that does not exist yet: no bytes, no error
	Cut(size int)          // what is behind so many bytes is worth nothing: the next Append writes there
	Append(data []byte) error
	Replace(data []byte) error
	Quarantine(data []byte) error // keeps what cannot be read beside the journal
	Close() error
}

// ErrBusy says that another process works with the journal.
var ErrBusy = nodefs.ErrBusy

const (
	journalName = "journal"
	lockName    = "lock"
	maxJournal  = 64 << 20
)

// dirStore is a journal in a directory, beside its lock.
type dirStore struct {
	dir  string
	lock *os.File
	file *os.File // nil until the first append
	size int64    // of what is whole in the file
}

// OpenDir is the store of a directory, for whoever wants to stand between it and a Mender.
func OpenDir(ctx context.Context, dir, who string, wait time.Duration) (Store, error) {
	return openDir(ctx, dir, who, wait)
}

// openDir takes the lock of the directory, which it creates where there is none, and waits for another process at most that long.
func openDir(ctx context.Context, dir, who string, wait time.Duration) (*dirStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	lock, err := nodefs.Lock(ctx, filepath.Join(dir, lockName), who, wait)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	// Programs that netmend runs inherit the lock: one that outlives a killed netmend keeps the next from looking at rules that are still being changed.
	if _, err := unix.FcntlInt(lock.Fd(), unix.F_SETFD, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("lock journal: %w", err), lock.Close())
	}
	return &dirStore{dir: dir, lock: lock}, nil
}

func (s *dirStore) path() string { return dirPath(s.dir) }

func dirPath(dir string) string { return filepath.Join(dir, journalName) }

func (s *dirStore) Load() ([]byte, error) {
	data, err := readJournal(s.path())
	s.size = int64(len(data))
	return data, err
}

func readJournal(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxJournal+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	if len(data) > maxJournal {
		return nil, fmt.Errorf("read journal: %s is larger than %d MiB", path, maxJournal>>20)
	}
	return data, nil
}

// Append writes behind what is whole. A write that fails is cut off again; where not even that can be done, the next Append does it.
func (s *dirStore) Append(data []byte) error {
	if s.file == nil {
		f, err := os.OpenFile(s.path(), os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return fmt.Errorf("append to journal: %w", err)
		}
		s.file = f
		if err := nodefs.SyncDir(s.dir); err != nil { // the name of a new file is lasting only with its directory
			return fmt.Errorf("append to journal: %w", err)
		}
	}
	err := s.file.Truncate(s.size)
	if err == nil {
		_, err = s.file.WriteAt(data, s.size)
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("append to journal: %w", errors.Join(err, s.file.Truncate(s.size)))
	}
	s.size += int64(len(data))
	return nil
}

// Replace writes a file beside the journal and renames it, so that there is a whole one at every moment.
func (s *dirStore) Replace(data []byte) error {
	if err := replaceFile(s.path(), data, 0o600); err != nil {
		return fmt.Errorf("compact journal: %w", err)
	}
	s.size = int64(len(data))
	if s.file == nil {
		return nil
	}
	err := s.file.Close() // of the old file
	s.file = nil
	return err
}

func (s *dirStore) Cut(size int) { s.size = int64(size) }

func (s *dirStore) Quarantine(data []byte) error {
	f, err := os.OpenFile(s.path()+".damaged", os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("keep damaged records: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keep damaged records: %w", err)
	}
	return nil
}

func (s *dirStore) Close() error {
	var err error
	if s.file != nil {
		err = s.file.Close()
	}
	return errors.Join(err, s.lock.Close())
}

// replaceFile makes a file have the content, whatever happens meanwhile: the old or the new, never a part. What a dead process left beside it is used again.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	beside := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(beside, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(beside))
	}
	return nodefs.SyncDir(filepath.Dir(path))
}
