package host

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// What is heard of a directory, and of one on the way to it.
const (
	contentEvents = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB
	stepEvents    = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO
)

// fileWatch hears of files by inotify(7). Of each directory all those above it are watched for the next name on the way, so that one that does not exist
// yet, is removed, or is replaced by another or by a symbolic link is followed.
type fileWatch struct {
	host    *Host
	fd      int
	watches map[int32]*watched
	stale   bool   // the ways must be gone anew
	denied  string // why some directory cannot be watched
}

// watched is one directory, for all that it is watched for.
type watched struct {
	steps map[string][]*watchedDir // names in it that lead to watched directories
	dirs  []*watchedDir            // whose contents it holds
}

func newFileWatch(h *Host) *fileWatch { return &fileWatch{host: h, fd: -1} }

func (f *fileWatch) file() int    { return f.fd }
func (f *fileWatch) deaf() string { return f.denied }

func (f *fileWatch) close() {
	closeWatch(&f.fd)
	f.watches, f.denied = nil, ""
}

func (f *fileWatch) all(c *changes) {
	c.kinds(facts.KindCNIConfig, facts.KindIPAM, facts.KindSysctlFiles, facts.KindServiceVIPs)
	c.Pods = true
}

func (f *fileWatch) open() (err error) {
	f.fd, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		f.fd = -1
		return fmt.Errorf("watch files: inotify: %w%s", err, remedy(err))
	}
	f.arrange()
	return nil
}

// remedy says which limit a person raises.
func remedy(err error) string {
	switch {
	case errors.Is(err, unix.EMFILE):
		return ": raise fs.inotify.max_user_instances, or the limit of open files"
	case errors.Is(err, unix.ENOSPC):
		return ": raise fs.inotify.max_user_watches"
	}
	return ""
}

func (f *fileWatch) read(c *changes) error {
	wasDenied := f.denied != ""
	for range watchDrain {
		n, err := unix.Read(f.fd, c.buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			return fmt.Errorf("watch files: %w", err)
		}
		if !eachFileEvent(c.buf[:n], func(e fileEvent) { f.event(e, c) }) {
			return errors.New("watch files: an event that does not fit")
		}
	}
	if f.stale || wasDenied {
		f.arrange()
	}
	if wasDenied && f.denied == "" {
		c.Lost = true
		f.all(c)
	}
	return nil
}

// fileEvent is struct inotify_event.
type fileEvent struct {
	watch int32
	mask  uint32
	name  string
}

// eachFileEvent walks what was read from inotify; false where an event does not fit.
func eachFileEvent(b []byte, fn func(fileEvent)) bool {
	for len(b) > 0 {
		if len(b) < unix.SizeofInotifyEvent {
			return false
		}
		e := fileEvent{watch: int32(binary.NativeEndian.Uint32(b)), mask: binary.NativeEndian.Uint32(b[4:])}
		size := binary.NativeEndian.Uint32(b[12:])
		b = b[unix.SizeofInotifyEvent:]
		if uint64(size) > uint64(len(b)) {
			return false
		}
		e.name = string(bytes.TrimRight(b[:size], "\x00"))
		b = b[size:]
		fn(e)
	}
	return true
}

// event adds what one event tells.
func (f *fileWatch) event(e fileEvent, c *changes) {
	if e.mask&unix.IN_Q_OVERFLOW != 0 { // fs.inotify.max_queued_events
		f.stale = true
		c.Lost = true
		c.cause("inotify overflow")
		f.all(c)
		return
	}
	w := f.watches[e.watch]
	if w == nil { // it is not watched any more
		return
	}
	if e.mask&unix.IN_IGNORED != 0 { // the directory is gone, or its file system
		f.stale = true
		for _, d := range w.dirs {
			d.changed("", c)
		}
		return
	}
	for _, d := range w.steps[e.name] {
		f.stale = true
		d.changed("", c)
	}
	for _, d := range w.dirs {
		isDir := e.mask&unix.IN_ISDIR != 0
		if e.name == "" || !d.wants(e.name, isDir) {
			continue
		}
		f.stale = f.stale || d.leads || isDir && d.sub != nil
		d.changed(e.name, c)
	}
}

// arrange goes all ways and watches what is there. A directory above is watched before the next one is looked for, so that none appears unseen.
func (f *fileWatch) arrange() {
	old := f.watches
	f.watches, f.stale, f.denied = map[int32]*watched{}, false, ""
	for _, d := range f.host.watchedDirs() {
		f.follow(d)
	}
	for wd := range old {
		if f.watches[wd] == nil {
			_, _ = unix.InotifyRmWatch(f.fd, uint32(wd)) // the kernel has removed it where its directory is gone
		}
	}
}

// follow watches the way to a directory as far as there is one, and the directory.
func (f *fileWatch) follow(d *watchedDir) {
	at := "/"
	for name := range strings.SplitSeq(strings.Trim(d.path, "/"), "/") {
		w := f.add(at, stepEvents)
		if w == nil {
			return
		}
		if w.steps == nil {
			w.steps = map[string][]*watchedDir{}
		}
		w.steps[name] = append(w.steps[name], d)
		at = strings.TrimSuffix(at, "/") + "/" + name
	}
	w := f.add(at, contentEvents)
	if w == nil {
		return
	}
	w.dirs = append(w.dirs, d)
	if d.sub == nil {
		return
	}
	entries, err := f.host.dirIn(d.path)
	if err != nil {
		f.refuse(d.path, err)
		return
	}
	for _, e := range entries[:min(len(entries), maxIPAMNetworks)] {
		if !e.IsDir() {
			continue
		}
		if w := f.add(at+"/"+e.Name(), contentEvents); w != nil {
			w.dirs = append(w.dirs, d.sub(e.Name()))
		}
	}
}

// add watches one directory of the node; nil where there is none, or it cannot be watched.
func (f *fileWatch) add(path string, events uint32) *watched {
	real, err := f.host.inRoot(path)
	if err != nil {
		f.refuse(path, err)
		return nil
	}
	// Of a directory that is watched for something else already, the events are added to that.
	wd, err := unix.InotifyAddWatch(f.fd, real, events|unix.IN_ONLYDIR|unix.IN_MASK_ADD)
	if err != nil {
		f.refuse(path, err)
		return nil
	}
	if f.watches[int32(wd)] == nil {
		f.watches[int32(wd)] = &watched{}
	}
	return f.watches[int32(wd)]
}

// refuse remembers the first reason why something cannot be watched. What does not exist is none.
func (f *fileWatch) refuse(path string, err error) {
	if f.denied == "" && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
		f.denied = fmt.Sprintf("watch %s: %v%s", printable(path), err, remedy(err))
	}
}
