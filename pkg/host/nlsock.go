package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrInterrupted says that the kernel changed the list while it was being read (NLM_F_DUMP_INTR): entries may be absent or occur twice, so what was
// read is never used.
var ErrInterrupted = errors.New("the kernel's list changed while it was being read")

const (
	recvBuffer  = 64 << 10         // the kernel gives a list in pieces of at most 32 KiB (netlink_recvmsg), however large the buffer is
	recvTimeout = 30 * time.Second // the kernel answers a dump at once; this only bounds what should not happen
	dumpTries   = 5
	dumpPause   = 3 * time.Millisecond
)

// nlMsg is one netlink message without its header. Body is valid only until the function that got it returns.
type nlMsg struct {
	Type  uint16
	Flags uint16
	Body  []byte
}

// nlConn is one netlink socket. It belongs for good to the namespace in which it was opened. It is safe for concurrent use.
type nlConn struct {
	mu  sync.Mutex
	fd  int
	seq uint32
	pid uint32
	use *buffers // lends what is received into
}

// buffers are receive buffers that are used again: an audit opens sockets in hundreds of namespaces, and clearing memory for each would cost as much
// as what is received. The zero value is ready.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *[recvBuffer]byte {
	if v, ok := b.pool.Get().(*[recvBuffer]byte); ok {
		return v
	}
	return new([recvBuffer]byte)
}

func (b *buffers) put(buf *[recvBuffer]byte) { b.pool.Put(buf) }

// openNetlink opens a socket of one netlink family (NETLINK_ROUTE, NETLINK_NETFILTER, ...) in the calling thread's namespace. A kernel without the
// family gives ErrAbsent.
func openNetlink(protocol int, use *buffers) (*nlConn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, fmt.Errorf("open netlink family %d: %w", protocol, ErrAbsent)
	}
	if err != nil {
		return nil, fmt.Errorf("open netlink family %d: %w", protocol, err)
	}
	pid, err := bindNetlink(fd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink family %d: %w", protocol, err), unix.Close(fd))
	}
	return &nlConn{fd: fd, pid: pid, use: use}, nil
}

func bindNetlink(fd int) (pid uint32, err error) {
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	tv := unix.NsecToTimeval(int64(recvTimeout))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return 0, err
	}
	// Strict checking makes the kernel honour the filters of a dump (4.20 and later); an older one lists more, which every reader bears.
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1); err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return 0, err
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	own, ok := sa.(*unix.SockaddrNetlink)
	if !ok {
		return 0, fmt.Errorf("socket address of type %T", sa)
	}
	return own.Pid, nil
}

func (c *nlConn) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return unix.Close(c.fd)
}

// dump asks for a list and gives each message to fn. When fn fails, the rest is read and dropped and fn's error returned, so that the socket can be
// used again; it must not use the socket itself. A list that the kernel marks interrupted ends in ErrInterrupted after all of it was given to fn.
func (c *nlConn) dump(typ uint16, body []byte, fn func(nlMsg) error) error {
	return c.exchange(typ, unix.NLM_F_DUMP, body, fn)
}

// request sends one request that is answered by one message or an acknowledgement (NLM_F_ACK in flags), and gives the message to fn.
func (c *nlConn) request(typ, flags uint16, body []byte, fn func(nlMsg) error) error {
	return c.exchange(typ, flags, body, fn)
}

func (c *nlConn) exchange(typ, flags uint16, body []byte, fn func(nlMsg) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	buf := c.use.get()
	defer c.use.put(buf)
	c.seq++
	req := appendMessage(nil, typ, flags|unix.NLM_F_REQUEST, c.seq, c.pid, body)
	if err := unix.Sendto(c.fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("netlink send: %w", err)
	}
	a := nlAnswer{seq: c.seq, pid: c.pid, list: flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP, ack: flags&unix.NLM_F_ACK != 0, fn: fn}
	for !a.done {
		n, _, recvFlags, from, err := unix.Recvmsg(c.fd, buf[:], nil, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("netlink receive: %w", err)
		case recvFlags&unix.MSG_TRUNC != 0:
			return fmt.Errorf("netlink receive: a message of more than %d bytes", len(buf))
		}
		if sa, ok := from.(*unix.SockaddrNetlink); !ok || sa.Pid != 0 {
			continue // not from the kernel
		}
		a.take(buf[:n])
	}
	return a.result()
}

// nlAnswer gathers the datagrams that answer one request.
type nlAnswer struct {
	seq, pid  uint32
	list, ack bool
	fn        func(nlMsg) error

	done        bool
	interrupted bool
	failed      error // what the kernel said
	refused     error // what fn said
}

func (a *nlAnswer) result() error {
	switch {
	case a.failed != nil:
		return a.failed
	case a.refused != nil:
		return a.refused
	case a.interrupted:
		return ErrInterrupted
	}
	return nil
}

// take reads one datagram.
func (a *nlAnswer) take(b []byte) {
	for len(b) > 0 && !a.done {
		size := 0
		if len(b) >= unix.NLMSG_HDRLEN {
			size = int(binary.NativeEndian.Uint32(b))
		}
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			a.done, a.failed = true, fmt.Errorf("netlink receive: a message of %d bytes in %d", size, len(b))
			return
		}
		m := nlMsg{Type: binary.NativeEndian.Uint16(b[4:]), Flags: binary.NativeEndian.Uint16(b[6:]), Body: b[unix.NLMSG_HDRLEN:size]}
		mine := binary.NativeEndian.Uint32(b[8:]) == a.seq && binary.NativeEndian.Uint32(b[12:]) == a.pid
		b = b[min(align4(size), len(b)):]
		if mine {
			a.message(m)
		}
	}
}

func (a *nlAnswer) message(m nlMsg) {
	if m.Flags&unix.NLM_F_DUMP_INTR != 0 {
		a.interrupted = true
	}
	switch m.Type {
	case unix.NLMSG_NOOP:
	case unix.NLMSG_ERROR:
		a.done, a.failed = true, kernelError(m.Body)
	case unix.NLMSG_DONE: // carries an error number since 4.18
		a.done = true
		if len(m.Body) >= 4 {
			a.failed = kernelError(m.Body)
		}
	default:
		if a.refused == nil && a.fn != nil {
			a.refused = a.fn(m)
		}
		if !a.list && !a.ack {
			a.done = true
		}
	}
}

// kernelError decodes the negative error number at the head of an error message; zero is an acknowledgement.
func kernelError(b []byte) error {
	if len(b) < 4 {
		return errors.New("netlink receive: an error message without a number")
	}
	code := int32(binary.NativeEndian.Uint32(b))
	if code == 0 {
		return nil
	}
	return kernelErrno(-code)
}

// kernelErrno is an error number of the kernel's. On a healthy node most of them say that there is no such thing, so it costs nothing to make one.
type kernelErrno unix.Errno

func (r kernelErrno) Error() string { return "netlink: " + unix.Errno(r).Error() }

func (r kernelErrno) Unwrap() error { return unix.Errno(r) }

func align4(n int) int { return (n + 3) &^ 3 }

// appendMessage appends one netlink message.
func appendMessage(b []byte, typ, flags uint16, seq, pid uint32, body []byte) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.NLMSG_HDRLEN+len(body)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, pid)
	b = append(b, body...)
	return append(b, make([]byte, align4(len(body))-len(body))...)
}

// whole reads a list until the kernel does not mark it interrupted, at most dumpTries times.
func whole[T any](once func() (T, error)) (T, error) {
	for try := 1; ; try++ {
		v, err := once()
		if !errors.Is(err, ErrInterrupted) {
			return v, err
		}
		if try == dumpTries {
			var none T
			return none, fmt.Errorf("%w, %d times in a row", err, dumpTries)
		}
		time.Sleep(dumpPause)
	}
}
