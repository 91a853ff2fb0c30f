package host

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another process kept a lock for longer than one may wait.
var ErrLocked = errors.New("locked by another process")

const lockPause = 5 * time.Millisecond

// lockFile takes flock(2)'s exclusive lock on a file and waits for it at most that long. The caller closes the file, which gives the lock back, as does the
// end of the process.
func lockFile(root *os.Root, name string, wait time.Duration) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_RDONLY|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(wait); ; time.Sleep(lockPause) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		case time.Now().After(deadline):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), ErrLocked), f.Close())
		}
	}
}
