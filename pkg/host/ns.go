package host

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"
)

// NS is one network namespace.
type NS struct {
	Path  string // that opens it; empty for the namespace the program was started in
	Inode uint64

	root string
	host *Host
	node bool
	fd   int // -1 once it is closed

	mu sync.Mutex
	rt lister

	servicesMu sync.Mutex
	services   *ServiceReader // of ServiceRules; nil before
}

// IsNode says whether this is the node's own namespace, as opposed to a pod's.
func (n *NS) IsNode() bool { return n.node }

// ErrNoNamespace says that a path leads to something else than a network namespace: a file on which a namespace was mounted until it was deleted, or
// is not mounted yet.
var ErrNoNamespace = errors.New("not a network namespace")

func (h *Host) openNS(path string) (*NS, error) {
	// Plain system calls: a file of package os would start the poller, which costs the CNI plugin more than all it does here.
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0) }) // a pipe would make it wait
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", path, err)
	}
	ino, err := namespaceInode(fd, path)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &NS{Path: path, Inode: ino, root: h.root, host: h, fd: fd}, nil
}

// namespaceInode is the number of an open network namespace; ErrNoNamespace for anything else.
func namespaceInode(fd int, path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, fmt.Errorf("stat network namespace %s: %w", path, err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil || fs.Type != unix.NSFS_MAGIC {
		return 0, fmt.Errorf("open network namespace: %s is %w", path, ErrNoNamespace)
	}
	// NS_GET_NSTYPE (ioctl_ns(2)) tells a network namespace from the other kinds, into which setns would also go.
	if kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		return 0, fmt.Errorf("open network namespace: %s is %w but one of another kind", path, ErrNoNamespace)
	}
	return st.Ino, nil
}

// Close releases the namespace.
func (n *NS) Close() error {
	n.servicesMu.Lock()
	defer n.servicesMu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	err := n.closeServices()
	if n.rt != nil {
		err = errors.Join(err, n.rt.close())
		n.rt = nil
	}
	if n.fd >= 0 {
		err = errors.Join(err, unix.Close(n.fd))
		n.fd = -1
	}
	return err
}

// FD is the namespace's descriptor, valid until Close.
func (n *NS) FD() int { return n.fd }

// Do runs fn on a thread that is in the namespace, and returns fn's error. Goroutines that fn starts are not in it. Sockets that fn opens
// stay in it for good.
func (n *NS) Do(fn func() error) error {
	if n.here() { // a daemon asks of its own namespace many times in a second: no other thread is needed for that
		defer runtime.UnlockOSThread()
		defer func() {
			if p := recover(); p != nil { // as from another goroutine, it has its stack with it
				panic(fmt.Sprintf("%v\n%s", p, debug.Stack()))
			}
		}()
		return fn()
	}
	type outcome struct {
		err      error
		panicked any
	}
	done := make(chan outcome, 1)
	go func() {
		var out outcome
		defer func() {
			if p := recover(); p != nil {
				out.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
			done <- out
		}()
		out.err = n.enter(fn)
	}()
	out := <-done
	if out.panicked != nil { // it is the caller's to catch
		panic(out.panicked)
	}
	return out.err
}

// here says whether the calling thread is in the namespace. If so, the goroutine is locked to it.
func (n *NS) here() bool {
	runtime.LockOSThread()
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err == nil && st.Ino == n.Inode {
		return true
	}
	runtime.UnlockOSThread()
	return false
}

// DoHere is Do on the caller's own goroutine, which spares a process that lives for milliseconds a goroutine and its thread. It may not be called inside another Do: where
// the Host was opened without a namespace, the caller must be in the one in which it was opened. Where the thread cannot go back, which the error says, the goroutine is
// lost in the foreign namespace and must end.
func (n *NS) DoHere(fn func() error) error {
	node := n.host.node
	switch {
	case node.Path != "":
		return n.enter(fn)
	case n.Inode == node.Inode:
		return fn()
	}
	runtime.LockOSThread()
	return n.visit(node.FD(), fn)
}

// enter is DoHere for any caller.
func (n *NS) enter(fn func() error) error {
	runtime.LockOSThread()
	own, err := retry(func() (int, error) { return unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open this thread's network namespace: %w", err)
	}
	defer unix.Close(own)
	same, err := n.is(own)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	if same { // entering one's own namespace needs CAP_SYS_ADMIN, reading in it does not
		defer runtime.UnlockOSThread()
		return fn()
	}
	return n.visit(own, fn)
}

// visit enters the namespace with a locked thread, which goes back to its own afterwards and is unlocked.
func (n *NS) visit(own int, fn func() error) (err error) {
	if err := unix.Setns(n.FD(), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace %s: %w", n.Path, err)
	}
	defer func() {
		// A thread that cannot go back stays locked, so that the runtime ends it with this goroutine and never runs others in a foreign namespace.
		if back := unix.Setns(own, unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		} else {
			err = errors.Join(err, fmt.Errorf("leave network namespace %s: %w", n.Path, back))
		}
	}()
	return fn()
}

func (n *NS) is(own int) (bool, error) {
	var a, b unix.Stat_t
	if err := unix.Fstat(own, &a); err != nil {
		return false, fmt.Errorf("stat this thread's network namespace: %w", err)
	}
	if err := unix.Fstat(n.FD(), &b); err != nil {
		return false, fmt.Errorf("stat network namespace %s: %w", n.Path, err)
	}
	return a.Dev == b.Dev && a.Ino == b.Ino, nil
}

// procNet gives the path of a file of /proc/net as the calling thread's namespace has it. It must be called inside Do. /proc/net itself is the
// main thread's; a tree made by hand, which has no thread-self, has only that.
func (n *NS) procNet(name string) string {
	return n.host.procNet + name
}

// procSys gives the path of a sysctl. Those below net are the calling thread's namespace's, so it must be called inside Do.
func (n *NS) procSys(path string) string { return filepath.Join(n.root, "proc/sys", path) }

func exists(path string) bool { return unix.Access(path, unix.F_OK) == nil }
