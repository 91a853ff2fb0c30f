package host

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

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
