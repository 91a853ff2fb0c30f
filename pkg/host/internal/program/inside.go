package program

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Inside runs fn with root as the root directory, so that the programs that fn runs are the node's own, with the node's libraries and locks, and in the calling
// thread's network namespace, which that thread must be locked to. Where fn finds no program there it is run again with those that netmend came with: what they
// write is the same to every kernel. fn therefore does nothing before it has found its program.
func Inside(root string, fn func() error) error {
	if root == "/" || root == "" {
		return fn()
	}
	err := inside(root, fn)
	if !errors.Is(err, ErrNoProgram) {
		return err
	}
	if own := fn(); !errors.Is(own, ErrNoProgram) {
		return own
	}
	return fmt.Errorf("below %s: %w", root, err)
}

// inside runs fn on a thread of its own that ends with it: the root directory is the thread's alone then, and nobody else ever runs on that thread.
func inside(root string, fn func() error) error {
	ns, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open this thread's network namespace: %w", err)
	}
	defer unix.Close(ns)
	type outcome struct {
		err      error
		panicked any
	}
	done := make(chan outcome, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		var out outcome
		defer func() {
			if p := recover(); p != nil {
				out.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
			done <- out
		}()
		if out.err = move(ns, root); out.err == nil {
			out.err = fn()
		}
	}()
	out := <-done
	if out.panicked != nil { // it is the caller's to catch
		panic(out.panicked)
	}
	return out.err
}

// move takes the thread into a network namespace and below a root. Threads share their root directory until one has unshared its own (unshare(2), CLONE_FS).
func move(ns int, root string) error {
	var want, have unix.Stat_t
	if err := unix.Fstat(ns, &want); err != nil {
		return fmt.Errorf("stat the network namespace: %w", err)
	}
	// Entering one's own namespace needs CAP_SYS_ADMIN, staying does not.
	if err := unix.Stat("/proc/thread-self/ns/net", &have); err != nil || have.Dev != want.Dev || have.Ino != want.Ino {
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network namespace: %w", err)
		}
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare the root directory: %w", err)
	}
	if err := unix.Chroot(root); err != nil {
		return fmt.Errorf("change the root directory to %s, where the node's programs are: %w (it needs CAP_SYS_CHROOT)", root, err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("enter the root directory %s: %w", root, err)
	}
	return nil
}
