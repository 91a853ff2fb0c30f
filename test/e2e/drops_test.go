package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/test/e2e/lab"
)

// during runs a step again and again, from before an audit to its end: each window has some of them in it.
func during(t *testing.T, step func() error, audit func() *lab.Report) *lab.Report {
	t.Helper()
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			if err := step(); err != nil {
				done <- err
				return
			}
			select {
			case <-stop:
				done <- nil
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	r := audit()
	close(stop)
	if err := <-done; err != nil {
		t.Errorf("during the audit: %v", err)
	}
	return r
}

// TestKubeFirewallDrop has the chain of an old kubelet drop what carries the mark, and let pass what does not.
func TestKubeFirewallDrop(t *testing.T) {
	t.Parallel()
	n := lab.NewNode(t, "firewall")
	n.Sh(`iptables-nft -N KUBE-FIREWALL; iptables-nft -A OUTPUT -j KUBE-FIREWALL
iptables-nft -A KUBE-FIREWALL -m comment --comment 'kubernetes firewall for dropping marked packets' -m mark --mark 0x8000/0x8000 -j DROP`)
	send := func(mark int, want error) func() error {
		return func() error {
			return n.Do(func() error {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, mark); err != nil {
					return err
				}
				if err := unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}); !errors.Is(err, want) {
					return fmt.Errorf("send with mark %#x: %v; want %v", mark, err, want)
				}
				return nil
			})
		}
	}
	audit := func() *lab.Report {
		return n.Audit("--check", "kube-firewall-drop", "--window", "1s").Want().Judged("kube-firewall-drop")
	}
	if r := during(t, send(0x4000, nil), audit); len(r.Findings) != 0 {
		t.Errorf("with packets that pass:\n%s", r.Describe())
	}
	f := during(t, send(0x8000, unix.EPERM), audit).Find("kube-firewall-drop")
	if got, want := f.Severity+" "+f.Check+" "+f.On.Name, "info kube-firewall-drop ip KUBE-FIREWALL"; got != want {
		t.Errorf("finding %q; want %q", got, want)
	}
	if r := audit(); len(r.Findings) != 0 {
		t.Errorf("after the last packet:\n%s", r.Describe())
	}
}
