// Package nodefs is what several rooms need of a node's file system: paths below its root, directories that outlive a power cut, and the lock that keeps
// two processes from doing the same work. It knows nothing of what is in the files.
package nodefs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxSymlinks is how many symbolic links the kernel follows in one path (MAXSYMLINKS).
const maxSymlinks = 40

// Resolve gives a path of the node whose root is at root, as it is reached from here, its symbolic links followed as the node itself would: an absolute
// one starts at the root again, and ".." does not leave it. A loop of links is an error, as it is for the kernel. What does not exist resolves to where
// it would be.
func Resolve(root, path string) (string, error) {
	if root == "/" {
		return path, nil // the kernel does it itself
	}
	return follow(root, path)
}

// Real is Resolve, but follows the links below "/" too: for who replaces a file and must not replace a link to it.
func Real(root, path string) (string, error) { return follow(root, path) }

func follow(root, path string) (string, error) {
	done, links := "/", 0
	rest := strings.Split(filepath.Clean(path), "/")
	for len(rest) > 0 {
		next := filepath.Join(done, rest[0]) // joined with "/" it cannot leave it
		rest = rest[1:]
		target, err := os.Readlink(filepath.Join(root, next))
		if err != nil {
			done = next // no link
			continue
		}
		if links++; links > maxSymlinks {
			return "", &fs.PathError{Op: "open", Path: path, Err: unix.ELOOP}
		}
		if filepath.IsAbs(target) {
			done = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return filepath.Join(root, done), nil
}

// SyncDir makes the names in a directory outlive a power cut.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ErrBusy says that another process holds a lock.
var ErrBusy = errors.New("another netmend is at work")

// Lock takes flock(2)'s exclusive lock on a file, which it makes where there is none, and waits for another process at most that long. Who holds it stands
// in the file. The caller closes the file, which gives the lock back, as does the end of the process.
func Lock(ctx context.Context, path, who string, wait time.Duration) (*os.File, error) {
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := takeLock(ctx, lock, wait); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), lock.Close())
	}
	// Who holds it is for people; not being able to say so, on a full disk, stops nobody.
	if lock.Truncate(0) == nil {
		_, _ = lock.WriteAt(fmt.Appendf(nil, "%s (pid %d)\n", who, os.Getpid()), 0)
	}
	return lock, nil
}

func takeLock(ctx context.Context, lock *os.File, wait time.Duration) error {
	for deadline := time.Now().Add(wait); ; {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return err
		case time.Now().After(deadline):
			holder, _ := io.ReadAll(io.LimitReader(lock, 256))
			if who := strings.TrimSpace(string(holder)); who != "" {
				return fmt.Errorf("%w: %s", ErrBusy, who)
			}
			return ErrBusy
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
