package host

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// openWatch opens a netlink socket of the calling thread's namespace that hears groups.
func openWatch(protocol int, groups ...int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return -1, ErrAbsent
	}
	if err != nil {
		return -1, err
	}
	// Without CAP_NET_ADMIN the buffer stays below net.core.rmem_max.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, watchBuffer) != nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, watchBuffer)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}
	for _, g := range groups {
		if err != nil {
			break
		}
		err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g)
		if errors.Is(err, unix.EINVAL) {
			err = nil // a kernel that has no such group has no such events
		}
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func closeWatch(fd *int) {
	if *fd >= 0 {
		_ = unix.Close(*fd) // it was only read
		*fd = -1
	}
}

// drainWatch gives fn the messages that wait. Lost says that some were dropped: the buffer was full, or a datagram larger than the one here.
func drainWatch(fd int, c *changes, fn func(nlMsg)) (lost bool, err error) {
	most := watchDrain
	for i := 0; i < most; i++ {
		n, _, flags, from, err := unix.Recvmsg(fd, c.buf, nil, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return lost, nil
		case errors.Is(err, unix.ENOBUFS):
			// From now on the kernel drops without a word until the queue has been empty once (NETLINK_S_CONGESTED).
			lost, most = true, watchCongested
			continue
		case err != nil:
			return lost, err
		}
		if sa, ok := from.(*unix.SockaddrNetlink); !ok || sa.Pid != 0 {
			continue // not from the kernel
		}
		if flags&unix.MSG_TRUNC != 0 || !eachMessage(c.buf[:n], fn) {
			lost = true
		}
	}
	if most == watchCongested {
		return lost, fmt.Errorf("more than %d messages in a row", watchCongested)
	}
	return lost, nil
}

// eachMessage walks the messages of a datagram; false where one does not fit.
func eachMessage(b []byte, fn func(nlMsg)) bool {
	for len(b) > 0 {
		if len(b) < unix.NLMSG_HDRLEN {
			return false
		}
		size := binary.NativeEndian.Uint32(b)
		if size < unix.NLMSG_HDRLEN || uint64(size) > uint64(len(b)) {
			return false
		}
		fn(nlMsg{Type: binary.NativeEndian.Uint16(b[4:]), Flags: binary.NativeEndian.Uint16(b[6:]), Body: b[unix.NLMSG_HDRLEN:size]})
		b = b[min(align4(int(size)), len(b)):]
	}
	return true
}
