package verdict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Client is one connection to the daemon. It never waits but in [Client.Answer], and there no longer than it is told. It is made of plain system calls: a
// process of three milliseconds has no use for a poller. It is not safe for concurrent use.
type Client struct {
	fd int
	in []byte
}

// ErrNobody says that there is no daemon to talk to.
var ErrNobody = errors.New("no daemon")

// Ask connects and asks for verdicts. A socket that does not exist, is not root's, or whose queue is full gives an error at once.
func Ask(path string) (*Client, error) { return ask(path, AskVerdicts) }

// Status asks for all that the daemon knows, and waits for it until the deadline. It gives a NodeStatus document, see package status. Its error is [ErrNobody]
// where no daemon listens.
func Status(path string, deadline time.Time) (document []byte, err error) {
	c, err := ask(path, AskStatus)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	line, err := c.line(deadline, MaxStatus)
	if err != nil {
		return nil, err
	}
	var a StatusAnswer
	if err := json.Unmarshal(line, &a); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	switch {
	case a.Netmend != Version:
		return nil, fmt.Errorf("%w: version %d, not %d", ErrAnswer, a.Netmend, Version)
	case a.Error != "":
		return nil, fmt.Errorf("the daemon says: %s", a.Error)
	case len(a.Status) == 0:
		return nil, fmt.Errorf("%w: it has no status", ErrAnswer)
	}
	return a.Status, nil
}

// nobody is an [ErrNobody] that is put into words only where somebody reads them.
type nobody struct {
	path string
	err  error
}

func (n *nobody) Error() string {
	return "ask the daemon: " + ErrNobody.Error() + ": " + n.path + ": " + n.err.Error()
}

func (n *nobody) Unwrap() []error { return []error{ErrNobody, n.err} }

func ask(path, question string) (*Client, error) {
	if err := unix.Access(path, unix.F_OK); err != nil { // as on every node without a daemon: no socket is needed to find that out
		return nil, &nobody{path, err}
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("ask the daemon: %w", err)
	}
	c := &Client{fd: fd}
	if err := c.start(path, question); err != nil {
		return nil, errors.Join(fmt.Errorf("ask the daemon: %w", err), c.Close())
	}
	return c, nil
}

func (c *Client) start(path, question string) error {
	// A full queue is EAGAIN (unix_stream_connect), a file without a listener ECONNREFUSED.
	if err := unix.Connect(c.fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return fmt.Errorf("%w: %w", ErrNobody, err)
	}
	peer, err := unix.GetsockoptUcred(c.fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return err
	}
	if uid := peer.Uid; uid != 0 && int(uid) != os.Geteuid() {
		return fmt.Errorf("%w: user %d listens there", ErrAnswer, uid)
	}
	return c.send(Question{Netmend: Version, Ask: question})
}

func (c *Client) send(q Question) error {
	line, err := Line(q)
	if err != nil {
		return err
	}
	// Without a signal for a peer that is gone, and without waiting for one that does not read: then the message is cut and worth nothing to it.
	n, err := unix.SendmsgN(c.fd, line, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	if err == nil && n < len(line) {
		err = fmt.Errorf("%d of %d bytes", n, len(line))
	}
	return err
}

// Answer waits for the answer until the deadline. One that has come by then is read, however late it is asked for.
func (c *Client) Answer(deadline time.Time) (*Answer, error) {
	line, err := c.line(deadline, MaxAnswer)
	if err != nil {
		return nil, err
	}
	return Parse(line)
}

// line reads one line of at most so many bytes.
func (c *Client) line(deadline time.Time, most int) ([]byte, error) {
	seen := 0
	for late := false; ; {
		if i := bytes.IndexByte(c.in[seen:], '\n'); i >= 0 {
			return c.in[:seen+i], nil
		}
		if seen = len(c.in); seen > most {
			return nil, fmt.Errorf("%w: more than %d bytes in a line", ErrAnswer, most)
		}
		if late {
			return nil, fmt.Errorf("wait for the daemon: %w", os.ErrDeadlineExceeded)
		}
		var err error
		if late, err = c.wait(deadline); err != nil {
			return nil, fmt.Errorf("wait for the daemon: %w", err)
		}
		size := 4096
		if late { // there is one chance left
			size = most + 1
		}
		if err := c.read(size); err != nil {
			return nil, fmt.Errorf("read the daemon's answer: %w", err)
		}
	}
}

// wait returns when there is something to read, or when the deadline has passed, which it says.
func (c *Client) wait(deadline time.Time) (late bool, err error) {
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return true, nil
		}
		ts := unix.NsecToTimespec(int64(left))
		n, err := unix.Ppoll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}, &ts, nil)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return false, err
		}
	}
}

func (c *Client) read(size int) error {
	buf := make([]byte, size)
	n, err := unix.Read(c.fd, buf)
	switch {
	case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
		return nil
	case err != nil:
		return err
	case n == 0:
		return fmt.Errorf("%w: the connection was closed", ErrAnswer)
	}
	c.in = append(c.in, buf[:n]...)
	return nil
}

// Tell sends news that is not answered. It does not wait: what the daemon cannot take now is lost.
func (c *Client) Tell(news []byte) error {
	if err := c.send(Question{Netmend: Version, Tell: news}); err != nil {
		return fmt.Errorf("tell the daemon: %w", err)
	}
	return nil
}

// Close ends the connection.
func (c *Client) Close() error { return unix.Close(c.fd) }
