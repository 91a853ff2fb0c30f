package host

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// nfDumper asks nfnetlink for lists. Each message is given to fn with its struct nfgenmsg; it is valid until fn returns, and fn must not ask for another list.
// A list that changed while it was read is ErrInterrupted.
type nfDumper interface {
	dump(typ uint16, body []byte, fn func(m nlMsg) error) error
}

// svcConn asks for tens of thousands of short lists. It differs from nlConn in that it makes no garbage for each: it is connected to the kernel, so that
// every datagram is the kernel's, and it is of one thread at a time.
type svcConn struct {
	fd  int
	seq uint32
	buf []byte
	req []byte
}

func openSvcConn() (*svcConn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, fmt.Errorf("open netlink family %d: %w", unix.NETLINK_NETFILTER, ErrAbsent)
	}
	if err != nil {
		return nil, fmt.Errorf("open netlink family %d: %w", unix.NETLINK_NETFILTER, err)
	}
	if _, err = bindNetlink(fd); err == nil {
		err = unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink family %d: %w", unix.NETLINK_NETFILTER, err), unix.Close(fd))
	}
	return &svcConn{fd: fd, buf: make([]byte, recvBuffer)}, nil
}

func (c *svcConn) close() error { return unix.Close(c.fd) }

func (c *svcConn) dump(typ uint16, body []byte, fn func(m nlMsg) error) error {
	return c.exchange(typ, unix.NLM_F_DUMP, body, fn)
}

// get asks for one object, which is answered by one message.
func (c *svcConn) get(typ uint16, body []byte, fn func(m nlMsg) error) error {
	return c.exchange(typ, 0, body, fn)
}

func (c *svcConn) exchange(typ, flags uint16, body []byte, fn func(m nlMsg) error) error {
	c.seq++
	b := binary.NativeEndian.AppendUint32(c.req[:0], uint32(unix.NLMSG_HDRLEN+len(body)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = binary.NativeEndian.AppendUint32(b, c.seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	c.req = append(b, body...)
	if _, err := retry(func() (int, error) { return unix.Write(c.fd, c.req) }); err != nil {
		return fmt.Errorf("netlink send: %w", err)
	}
	a := svcAnswer{seq: c.seq, list: flags != 0, fn: fn}
	for !a.done {
		n, err := unix.Read(c.fd, c.buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("netlink receive: %w", err)
		}
		a.take(c.buf[:n])
	}
	return a.err()
}

// svcAnswer gathers the datagrams that answer one request.
type svcAnswer struct {
	seq         uint32
	list        bool
	fn          func(m nlMsg) error
	done        bool
	interrupted bool
	failed      error
}

func (a *svcAnswer) err() error {
	if a.failed == nil && a.interrupted {
		return ErrInterrupted
	}
	return a.failed
}

// fail keeps the first error; what is still to come is read and dropped, so that the next list is not mixed with it.
func (a *svcAnswer) fail(err error) {
	if a.failed == nil {
		a.failed = err
	}
}

func (a *svcAnswer) take(b []byte) {
	for len(b) > 0 && !a.done {
		size := 0
		if len(b) >= unix.NLMSG_HDRLEN {
			size = int(binary.NativeEndian.Uint32(b))
		}
		if size < unix.NLMSG_HDRLEN || size > len(b) { // also where a datagram was larger than the buffer
			a.done = true
			a.fail(fmt.Errorf("netlink receive: a message of %d bytes in %d", size, len(b)))
			return
		}
		m := nlMsg{Type: binary.NativeEndian.Uint16(b[4:]), Flags: binary.NativeEndian.Uint16(b[6:]), Body: b[unix.NLMSG_HDRLEN:size]}
		mine := binary.NativeEndian.Uint32(b[8:]) == a.seq
		b = b[min(align4(size), len(b)):]
		if mine {
			a.message(m)
		}
	}
}

func (a *svcAnswer) message(m nlMsg) {
	a.interrupted = a.interrupted || m.Flags&unix.NLM_F_DUMP_INTR != 0
	switch m.Type {
	case unix.NLMSG_NOOP:
	case unix.NLMSG_ERROR:
		a.done = true
		if err := kernelError(m.Body); err != nil {
			a.fail(err)
		}
	case unix.NLMSG_DONE:
		a.done = true
		if len(m.Body) >= 4 {
			if err := kernelError(m.Body); err != nil {
				a.fail(err)
			}
		}
	default:
		if a.failed == nil {
			if err := a.fn(m); err != nil {
				a.fail(err)
			}
		}
		a.done = a.done || !a.list
	}
}
