package nodefs

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Notifier says that something has changed in directories, not what: whoever hears of it looks at all of it anyway, so a queue that overflows loses nothing.
// Make one with [NewNotifier]. It belongs to one goroutine.
type Notifier struct {
	file    *os.File
	watches map[string]int // descriptors by the path that is watched
	changed chan struct{}
}

const (
	contentEvents = unix.IN_CLOSE_WRITE | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ATTRIB | unix.IN_MODIFY
	selfEvents    = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	parentEvents  = unix.IN_CREATE | unix.IN_MOVED_TO // a directory that is missing appears
)

// NewNotifier opens an inotify instance.
func NewNotifier() (*Notifier, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w: raise fs.inotify.max_user_instances", err)
	}
	n := &Notifier{file: os.NewFile(uintptr(fd), "inotify"), watches: map[string]int{}, changed: make(chan struct{}, 1)}
	go n.read()
	return n, nil
}

// read ends when the file is closed.
func (n *Notifier) read() {
	defer close(n.changed)
	buf := make([]byte, 64<<10)
	for {
		if _, err := n.file.Read(buf); err != nil {
			return
		}
		select {
		case n.changed <- struct{}{}:
		default: // somebody has not yet looked since the last
		}
	}
}

// Changed gives something after a change, once for any number of them. It is closed when reading has failed: nothing is heard from then on.
func (n *Notifier) Changed() <-chan struct{} { return n.changed }

// Close ends the watching.
func (n *Notifier) Close() error { return n.file.Close() }

// Watch makes the directories be watched, or where one is missing the nearest above it that is there. Called again before each look it follows
// directories that are replaced: adding a watch of the same inode changes nothing.
func (n *Notifier) Watch(dirs ...string) error {
	conn, err := n.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		want := map[string]int{}
		for _, dir := range dirs {
			if err := n.add(int(fd), dir, want); err != nil {
				failed = errors.Join(failed, fmt.Errorf("watch %s: %w", dir, err))
			}
		}
		for path, wd := range n.watches {
			if _, ok := want[path]; !ok && !slices.Contains(slices.Collect(maps.Values(want)), wd) {
				_, _ = unix.InotifyRmWatch(int(fd), uint32(wd)) // it may be gone with its directory
			}
		}
		n.watches = want
	})
	return errors.Join(err, failed)
}

func (n *Notifier) add(fd int, dir string, want map[string]int) error {
	for path := dir; ; path = filepath.Dir(path) {
		events := uint32(parentEvents | selfEvents | unix.IN_MASK_ADD)
		if path == dir {
			events = contentEvents | selfEvents
		}
		wd, err := unix.InotifyAddWatch(fd, path, events)
		if err == nil {
			want[path] = wd
			if path == dir || !exists(below(path, dir)) {
				return nil
			}
			path = filepath.Join(dir, "x") // it has appeared meanwhile: once more from the directory
			continue
		}
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) || path == filepath.Dir(path) {
			return err
		}
	}
}

// below gives the next path from one towards a directory in it.
func below(path, dir string) string {
	for filepath.Dir(dir) != path && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
	}
	return dir
}

// exists says whether there is a file, or a link to nowhere, of that name.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
