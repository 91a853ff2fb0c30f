package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nfDumper asks nfnetlink for lists. Each message is given to fn with its struct nfgenmsg; it is valid until fn returns, and fn must not ask for another list.
// A list that changed while it was read is ErrInterrupted.
type nfDumper interface {
	dump(typ uint16, body []byte, fn func(m nlMsg) error) error
	// short is dump for one of very many lists, each likely of a few entries.
	short(typ uint16, body []byte, fn func(m nlMsg) error) error
	// both asks for one object and for a short list at once. An object that does not exist is not given to fn, and is no error.
	both(object uint16, its []byte, typ uint16, body []byte, fn func(m nlMsg) error) error
}

// svcConn is two sockets. For a list the kernel takes as much memory at a time as was once asked for on the socket (max_recvmsg_len of netlink_dump): what makes a
// long list quick is dear for tens of thousands of short ones.
type svcConn struct {
	long, brief svcSocket
}

// openSvcConn opens both of one netlink family; a kernel without it gives ErrAbsent.
func openSvcConn(protocol int) (*svcConn, error) {
	c := &svcConn{}
	if err := c.long.open(protocol, recvBuffer); err != nil {
		return nil, err
	}
	if err := c.brief.open(protocol, briefBuffer); err != nil {
		return nil, errors.Join(err, c.long.close())
	}
	return c, nil
}

// briefBuffer is at least what the kernel puts into a message of a list where it is asked for little: NLMSG_GOODSIZE, which is less than 8 KiB. A single rule that is
// larger would end its list without a word; kube-proxy's have less than 1 KiB.
const briefBuffer = 8 << 10

func (c *svcConn) dump(typ uint16, body []byte, fn func(m nlMsg) error) error {
	return c.long.exchange(typ, unix.NLM_F_DUMP, body, fn)
}

func (c *svcConn) short(typ uint16, body []byte, fn func(m nlMsg) error) error {
	return c.brief.exchange(typ, unix.NLM_F_DUMP, body, fn)
}

// get asks for one object, which is answered by one message.
func (c *svcConn) get(typ uint16, body []byte, fn func(m nlMsg) error) error {
	return c.brief.exchange(typ, 0, body, fn)
}

func (c *svcConn) both(object uint16, its []byte, typ uint16, body []byte, fn func(m nlMsg) error) error {
	s := &c.brief
	s.req = s.req[:0]
	answers := [2]svcAnswer{s.ask(object, 0, its, fn), s.ask(typ, unix.NLM_F_DUMP, body, fn)}
	if err := s.answered(answers[:]); err != nil {
		return err
	}
	if err := answers[0].err(); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return answers[1].err()
}

func (c *svcConn) close() error { return errors.Join(c.long.close(), c.brief.close()) }

// svcSocket asks for tens of thousands of short lists. It differs from nlConn in that it makes no garbage for each, and two system calls: it is connected to
// the kernel, so that every datagram is the kernel's, and receives an object, a short list and its end at once. It is of one thread at a time.
type svcSocket struct {
	fd   int
	seq  uint32
	req  []byte
	bufs [3][]byte
	vecs [3]unix.Iovec
	msgs [3]mmsghdr
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

func (c *svcSocket) open(protocol, size int) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return fmt.Errorf("open netlink family %d: %w", protocol, ErrAbsent)
	}
	if err != nil {
		return fmt.Errorf("open netlink family %d: %w", protocol, err)
	}
	if _, err = bindNetlink(fd); err == nil {
		err = unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open netlink family %d: %w", protocol, err), unix.Close(fd))
	}
	c.fd = fd
	for i := range c.bufs {
		c.bufs[i] = make([]byte, size)
		c.vecs[i].Base = &c.bufs[i][0]
		c.vecs[i].SetLen(size)
		c.msgs[i].hdr.Iov = &c.vecs[i]
		c.msgs[i].hdr.SetIovlen(1)
	}
	return nil
}

// send and receive do not tell the Go scheduler, to which a call that takes microseconds looks as if it were blocked: the kernel has made the first part of a
// list when send returns, and makes each next one as the one before is received.

func (c *svcSocket) send() error {
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(&c.req[0])), uintptr(len(c.req)), 0, 0, 0)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return fmt.Errorf("netlink send: %w", errno)
		}
	}
}

// receive fills up to three buffers and says how many. Where nothing is there yet, which is not so on any kernel that was tried, it waits.
func (c *svcSocket) receive() (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(c.fd), uintptr(unsafe.Pointer(&c.msgs[0])), uintptr(len(c.msgs)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			for i := range c.msgs[:n] {
				if c.msgs[i].hdr.Flags&unix.MSG_TRUNC != 0 {
					return 0, fmt.Errorf("netlink receive: a message of more than %d bytes", len(c.bufs[i]))
				}
			}
			return int(n), nil
		case unix.EINTR:
		case unix.EAGAIN:
			n, err := retry(func() (int, error) { return unix.Read(c.fd, c.bufs[0]) })
			if err != nil {
				return 0, fmt.Errorf("netlink receive: %w", err)
			}
			c.msgs[0].n = uint32(n)
			return 1, nil
		default:
			return 0, fmt.Errorf("netlink receive: %w", errno)
		}
	}
}

func (c *svcSocket) close() error { return unix.Close(c.fd) }

func (c *svcSocket) exchange(typ, flags uint16, body []byte, fn func(m nlMsg) error) error {
	c.req = c.req[:0]
	answer := [1]svcAnswer{c.ask(typ, flags, body, fn)}
	if err := c.answered(answer[:]); err != nil {
		return err
	}
	return answer[0].err()
}

// ask appends a request to those that are sent next.
func (c *svcSocket) ask(typ, flags uint16, body []byte, fn func(m nlMsg) error) svcAnswer {
	c.seq++
	b := binary.NativeEndian.AppendUint32(c.req, uint32(unix.NLMSG_HDRLEN+len(body)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = binary.NativeEndian.AppendUint32(b, c.seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	c.req = append(b, body...) // of a length that is a multiple of four, as all attributes are
	return svcAnswer{seq: c.seq, list: flags != 0, fn: fn}
}

// answered sends the requests and takes their answers, which come in their order.
func (c *svcSocket) answered(answers []svcAnswer) error {
	if err := c.send(); err != nil {
		return err
	}
	for i := 0; i < len(answers); {
		n, err := c.receive()
		if err != nil {
			return err
		}
		for j := 0; j < n && i < len(answers); j++ {
			if answers[i].take(c.bufs[j][:c.msgs[j].n]); answers[i].done {
				i++
			}
		}
	}
	return nil
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
