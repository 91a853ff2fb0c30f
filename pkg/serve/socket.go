package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/nodefs"
)

// lookAfter is how often it is looked whether the socket's name still leads to the socket: a directory in /run may be cleaned by somebody else.
const lookAfter = 30 * time.Second

// socket is a unix socket that has its name, and the lock that keeps other daemons from taking it.
type socket struct {
	*net.UnixListener
	path string
	lock *os.File
	made os.FileInfo
}

// openSocket takes the path. One that a daemon serves, or that is no socket, is an error; one that a daemon has left behind is replaced at once, so that there is
// no moment at which the plugin finds none.
func openSocket(ctx context.Context, path string) (_ *socket, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("serve socket: %w", err)
		}
	}()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	s := &socket{path: path}
	if s.lock, err = nodefs.Lock(ctx, path+".lock", "netmendd", 0); err != nil {
		return nil, err
	}
	if err := s.listen(ctx); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

func (s *socket) listen(ctx context.Context) (err error) {
	if err := abandoned(s.path); err != nil {
		return err
	}
	// The name it is bound to is not the one that is asked for: rename(2) puts it in the place of a stale one in one step.
	temporary := fmt.Sprintf("%s.%d", s.path, os.Getpid())
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	config := net.ListenConfig{Control: ownerOnly}
	l, err := config.Listen(ctx, "unix", temporary)
	if err != nil {
		return err
	}
	s.UnixListener = l.(*net.UnixListener)
	s.SetUnlinkOnClose(false) // it would be the temporary name
	if err := os.Rename(temporary, s.path); err != nil {
		return errors.Join(err, l.Close(), os.Remove(temporary))
	}
	if s.made, err = os.Lstat(s.path); err != nil {
		return errors.Join(err, l.Close())
	}
	return nil
}

// ownerOnly makes the socket's file 0600 from its first moment: the kernel gives it the mode of the socket's inode (unix_bind_bsd).
func ownerOnly(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), 0o600) })
	return errors.Join(err, failed)
}

// abandoned says whether the path is free or a socket without a listener.
func abandoned(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is no socket: move it away, or give another path in the configuration", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		who := ""
		if cred, err := peer(conn.(*net.UnixConn)); err == nil {
			who = fmt.Sprintf(" (pid %d)", cred.Pid)
		}
		return errors.Join(fmt.Errorf("another process%s serves %s", who, path), conn.Close())
	}
	if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err // EAGAIN: somebody listens whose queue is full
}

// ours says whether the path still leads to this socket.
func (s *socket) ours() bool {
	info, err := os.Lstat(s.path)
	return err == nil && os.SameFile(info, s.made)
}

// Close ends the listening. The name stays, so that the next daemon replaces it and nobody ever finds none; who connects meanwhile is refused at once.
func (s *socket) Close() error { return errors.Join(s.UnixListener.Close(), s.lock.Close()) }

// remove takes the name away, for a daemon that goes on without it. The lock is given back after that, so what is removed is never another's.
func (s *socket) remove() error {
	var err error
	if s.ours() {
		err = os.Remove(s.path)
	}
	return errors.Join(err, s.Close())
}

// serveSocket answers at a path until the context ends or the path is lost.
func (s *Surfaces) serveSocket(ctx context.Context, path string, up func()) error {
	l, err := openSocket(ctx, path)
	if err != nil {
		return err
	}
	up()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil && l.ours() {
			waitFor(ctx, nil, lookAfter)
		}
		if ctx.Err() == nil {
			stop(fmt.Errorf("serve socket: %s was removed", path))
		}
		_ = l.SetDeadline(time.Unix(1, 0)) // Accept returns
	})
	d := newDesk(s)
	for ctx.Err() == nil {
		conn, err := l.AcceptUnix()
		if err == nil {
			d.serve(ctx, &all, conn)
			continue
		}
		if ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			waitFor(ctx, nil, 100*time.Millisecond) // out of descriptors: those who are served will give some back
		}
	}
	why := context.Cause(ctx)
	all.Wait()
	if errors.Is(why, errApplied) {
		return errors.Join(why, l.remove())
	}
	return errors.Join(why, l.Close())
}

// peer is who has connected.
func peer(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return cred, errors.Join(err, failed)
}
