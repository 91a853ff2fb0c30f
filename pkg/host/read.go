package host

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// readSmall reads a file of at most maxFile bytes.
func readSmall(path string) ([]byte, error) { return readFile(path, maxFile) }

// readFile reads a whole file of at most limit bytes. Files of proc have no size and are made anew for each open, so they are read until their end;
// plain system calls cost a fraction of os.File, which registers with the poller, and hundreds of them are read per audit.
func readFile(path string, limit int) ([]byte, error) {
	return readInto(path, make([]byte, 0, 1024), limit)
}

func readInto(path string, buf []byte, limit int) ([]byte, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	data, err := readOn(fd, buf, limit)
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

// withFile gives fn the text of a file of at most limit bytes that is read into a buffer that is used again; fn must not keep it.
func (n *NS) withFile(path string, limit int, fn func([]byte)) error {
	buf := n.host.bufs.get()
	defer n.host.bufs.put(buf)
	data, err := readInto(path, buf[:0], limit)
	if err == nil {
		fn(data)
	}
	return err
}

func readAll(fd, limit int) ([]byte, error) { return readOn(fd, make([]byte, 0, 4096), limit) }

// readOn reads until the end of the file and appends to data.
func readOn(fd int, data []byte, limit int) ([]byte, error) {
	for {
		n, err := retry(func() (int, error) { return unix.Read(fd, data[len(data):cap(data)]) })
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return data, nil
		}
		data = data[:len(data)+n]
		if len(data) > limit {
			return nil, fmt.Errorf("more than %d bytes", limit)
		}
		if len(data) == cap(data) {
			data = append(make([]byte, 0, 4*cap(data)), data...)
		}
	}
}

// retry repeats a system call that a signal interrupted: the Go runtime preempts threads with signals.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
