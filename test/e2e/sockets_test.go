package e2e

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/test/e2e/lab"
)

// listener is a TCP socket that listens with a backlog and accepts only when it is told.
type listener struct {
	t    *testing.T
	fd   int
	addr netip.AddrPort
}

func listen(t *testing.T, ns *lab.NS, addr netip.AddrPort, backlog int) *listener {
	t.Helper()
	l := &listener{t: t, addr: addr}
	err := ns.Do(func() (err error) {
		if l.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err = unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
		if err = unix.Bind(l.fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
			return err
		}
		return unix.Listen(l.fd, backlog)
	})
	if err != nil {
		t.Fatalf("listen on %s: %v", addr, err)
	}
	t.Cleanup(func() { unix.Close(l.fd) })
	return l
}

// fill connects until the queue is full and connections are dropped.
func (l *listener) fill(from *lab.NS, backlog int) {
	l.t.Helper()
	for range backlog + 4 {
		go from.Do(func() error {
			c, err := net.DialTimeout("tcp", l.addr.String(), 8*time.Second)
			if err == nil {
				l.t.Cleanup(func() { c.Close() })
			}
			return nil // some of them cannot succeed
		})
	}
}

// accept takes what comes from now on, as a program that is no longer stuck does.
func (l *listener) accept() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			fd, _, err := unix.Accept(l.fd)
			if err != nil {
				return
			}
			unix.Close(fd)
		}
	}()
	l.t.Cleanup(func() {
		unix.Shutdown(l.fd, unix.SHUT_RDWR) // wakes the loop
		<-done
	})
}

func TestListenOverflow(t *testing.T) {
	t.Parallel()
	t.Run("the program's backlog", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n, pod := f.Nodes[0], f.Pods[0]
		l := listen(t, pod, netip.AddrPortFrom(f.Addr[0], 8080), 2)
		l.fill(n.NS, 2)
		r := n.Audit("--window", "3s").Want("warning listen-overflow listener " + l.addr.String())
		if got, want := r.Find("listen-overflow").On.NetNS, pod.Inode(); got != want {
			t.Errorf("the finding is on namespace %d; want the pod's, %d", got, want)
		}
		if got := n.Counter("TcpExt", "ListenOverflows"); got != 0 {
			t.Errorf("the node's own counter is %d: this fault is the pod's alone", got)
		}
		l.accept()
		if _, err := n.Connect(l.addr, 5*time.Second); err != nil {
			t.Errorf("after the program accepts: %v", err)
		}
		n.Audit("--window", "1s").Want()
	})
	t.Run("the pod's sysctl", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n, pod := f.Nodes[0], f.Pods[0]
		pod.Sh("sysctl -qw net.core.somaxconn=4")
		l := listen(t, pod, netip.AddrPortFrom(f.Addr[0], 8080), 1024)
		l.fill(n.NS, 4)
		r := n.Audit("--window", "2s").Want("warning listen-overflow net.core.somaxconn")
		n.Mend(r)
		if err := unix.Listen(l.fd, 1024); err != nil { // the program starts again
			t.Fatal(err)
		}
		n.Audit().Want()
	})
}
