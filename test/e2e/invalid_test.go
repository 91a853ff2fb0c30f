package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestConntrackInvalidReset has a Service's backend of the node's own network send a segment outside of the window: it is not translated back, and the
// client's reset ends the connection.
func TestConntrackInvalidReset(t *testing.T) {
	t.Parallel()
	n := lab.NewNode(t, "node")
	n.Sh("ip link add cni0 type bridge; ip addr add 10.244.0.1/24 dev cni0; ip link set cni0 up; sysctl -qw net.ipv4.ip_forward=1")
	pod := n.BridgePod("cni0", "veth0", 1500, "10.244.0.2/24", "10.244.0.1")
	n.Sh(`ipt() { iptables-nft -w -t nat "$@"; }
ipt -N KUBE-SERVICES; ipt -N KUBE-SVC-AAAAAAAAAAAAAAAA; ipt -N KUBE-SEP-AAAAAAAAAAAAAAAA
ipt -A PREROUTING -j KUBE-SERVICES
ipt -A KUBE-SERVICES -d 10.96.7.7/32 -p tcp --dport 80 -j KUBE-SVC-AAAAAAAAAAAAAAAA
ipt -A KUBE-SVC-AAAAAAAAAAAAAAAA -j KUBE-SEP-AAAAAAAAAAAAAAAA
ipt -A KUBE-SEP-AAAAAAAAAAAAAAAA -p tcp -j DNAT --to-destination 10.244.0.1:8080
sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=0`)
	var l *net.TCPListener
	if err := n.Do(func() (err error) {
		l, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.244.0.1:8080")))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	reset := func() error { return outside(n.NS, pod, l, true) }
	audit := func() *lab.Report {
		return n.Audit("--check", "conntrack-invalid-reset", "--window", "2s").Judged("conntrack-invalid-reset")
	}
	audit().Want()
	r := during(t, reset, audit).Want("warning conntrack-invalid-reset net.netfilter.nf_conntrack_tcp_be_liberal")
	n.Mend(r)
	during(t, func() error { return outside(n.NS, pod, l, false) }, audit).Want()
}

// outside makes a connection from the pod to the Service and has the backend send a segment outside of the window. It checks what becomes of the connection.
func outside(n, pod *lab.NS, l *net.TCPListener, dies bool) error {
	var c net.Conn
	err := pod.Do(func() (err error) {
		c, err = net.DialTimeout("tcp", "10.96.7.7:80", 10*time.Second)
		return err
	})
	if err != nil {
		return err
	}
	defer c.Close()
	b, err := l.AcceptTCP()
	if err != nil {
		return err
	}
	defer b.Close()
	ours, theirs, err := sequence(b)
	if err != nil {
		return err
	}
	from, to := b.LocalAddr().(*net.TCPAddr).AddrPort(), b.RemoteAddr().(*net.TCPAddr).AddrPort()
	if err := n.Do(func() error { return sendRaw(from, to, segment(from, to, ours+1<<30, theirs)) }); err != nil {
		return err
	}
	if !dies {
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
	}
	if err := b.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	_, err = b.Read(make([]byte, 1))
	if died := err != nil; died != dies {
		return fmt.Errorf("the backend reads: %v; want the connection to die: %v", err, dies)
	}
	return nil
}

// The queues of TCP_REPAIR_QUEUE (include/uapi/linux/tcp.h).
const (
	receiveQueue = 1
	sendQueue    = 2
)

// sequence gives the next sequence numbers of both sides of a connection at rest, which the kernel tells while the socket is in repair.
func sequence(c *net.TCPConn) (ours, theirs uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	failed := raw.Control(func(s uintptr) {
		fd := int(s)
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_ON); err != nil {
			return
		}
		for queue, to := range map[int]*uint32{receiveQueue: &theirs, sendQueue: &ours} {
			if err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, queue); err != nil {
				return
			}
			var v int
			if v, err = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUEUE_SEQ); err != nil {
				return
			}
			*to = uint32(v)
		}
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_OFF_NO_WP)
	})
	if failed != nil {
		return 0, 0, failed
	}
	return ours, theirs, err
}

// segment is a TCP segment of one byte, with its checksum.
func segment(from, to netip.AddrPort, seq, ack uint32) []byte {
	be := binary.BigEndian
	s := make([]byte, 21)
	be.PutUint16(s[0:], from.Port())
	be.PutUint16(s[2:], to.Port())
	be.PutUint32(s[4:], seq)
	be.PutUint32(s[8:], ack)
	s[12], s[13] = 5<<4, 0x18 // PSH and ACK
	be.PutUint16(s[14:], 500)
	s[20] = 'x'
	pseudo := append(append(from.Addr().AsSlice(), to.Addr().AsSlice()...), 0, unix.IPPROTO_TCP, 0, byte(len(s)))
	sum := uint32(0)
	all := append(append(pseudo, s...), 0)
	for i := 0; i < len(all); i += 2 {
		sum += uint32(be.Uint16(all[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	be.PutUint16(s[16:], ^uint16(sum))
	return s
}

func sendRaw(from, to netip.AddrPort, data []byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: from.Addr().As4()}); err != nil {
		return err
	}
	return unix.Sendto(fd, data, 0, &unix.SockaddrInet4{Addr: to.Addr().As4()})
}
