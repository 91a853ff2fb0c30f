package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errTruncated says that a buffer was too small.
var errTruncated = errors.New("a message of more than its buffer")

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
					return 0, fmt.Errorf("netlink receive: %w of %d bytes", errTruncated, len(c.bufs[i]))
				}
			}
			return int(n), nil
		case unix.EINTR:
		case unix.EAGAIN:
			n, err := retry(func() (int, error) {
				n, _, err := unix.Recvfrom(c.fd, c.bufs[0], unix.MSG_TRUNC)
				return n, err
			})
			if err != nil {
				return 0, fmt.Errorf("netlink receive: %w", err)
			}
			if n > len(c.bufs[0]) {
				return 0, fmt.Errorf("netlink receive: %w of %d bytes", errTruncated, len(c.bufs[0]))
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
