package e2e

import (
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

func TestIPForward(t *testing.T) {
	t.Parallel()
	t.Run("node", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n := f.Nodes[0]
		f.Pods[1].Listen(f.Target())
		n.Sh("sysctl -qw net.ipv4.ip_forward=0")
		if _, err := f.Pods[0].Connect(f.Target(), time.Second); err == nil {
			t.Fatal("the fault does not show: the pod connects")
		}
		n.Mend(n.Audit().Want("critical ip-forward net.ipv4.ip_forward"))
		if _, err := f.Pods[0].Connect(f.Target(), time.Second); err != nil {
			t.Errorf("after the fix: %v", err)
		}
		n.Audit().Want()
	})
	t.Run("one link", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n := f.Nodes[0]
		f.Pods[1].Listen(f.Target())
		n.Sh("sysctl -qw net.ipv4.conf.cni0.forwarding=0")
		if _, err := f.Pods[0].Connect(f.Target(), time.Second); err == nil {
			t.Fatal("the fault does not show: the pod connects")
		}
		n.Mend(n.Audit().Want("critical ip-forward cni0"))
		if _, err := f.Pods[0].Connect(f.Target(), time.Second); err != nil {
			t.Errorf("after the fix: %v", err)
		}
		n.Audit().Want()
	})
	t.Run("IPv6", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 6, "")
		n := f.Nodes[0]
		n.Sh("sysctl -qw net.ipv6.conf.all.forwarding=0")
		n.Mend(n.Audit().Want("warning ip-forward net.ipv6.conf.all.forwarding"))
		n.Audit().Want()
	})
}

// TestRPFilterStrict gives the tunnel's node a second uplink: packets come in on the one that has the tunnel's address and would be answered by the other.
func TestRPFilterStrict(t *testing.T) {
	t.Parallel()
	f := lab.NewFlannel(t, 4, "")
	n, peer := f.Nodes[0], f.Nodes[1]
	f.Pods[1].Listen(f.Target())
	connects(t, f, false) // so that both know each other's hardware address: the filter does not count what it drops of ARP
	lab.Veth(n.NS, "eth1", peer.NS, "eth1")
	n.Sh("ip addr add 198.51.100.1/24 dev eth1; sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.eth0.rp_filter=1 net.ipv4.conf.eth1.rp_filter=0")
	peer.Sh("ip addr add 198.51.100.2/24 dev eth1; sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.eth1.rp_filter=0")
	n.Sh("ip route add 192.0.2.2/32 via 198.51.100.2 dev eth1 src 192.0.2.1")
	before := n.Counter("TcpExt", "IPReversePathFilter")
	if _, err := f.Pods[0].Connect(f.Target(), 1500*time.Millisecond); err == nil {
		t.Fatal("the fault does not show: the pod connects")
	}
	if got := n.Counter("TcpExt", "IPReversePathFilter"); got == before {
		t.Fatal("the fault does not show: no packet was dropped for its source")
	}
	n.Mend(n.Audit().Want("warning rp-filter-strict eth0"))
	if _, err := f.Pods[0].Connect(f.Target(), 3*time.Second); err != nil {
		t.Errorf("after the fix: %v", err)
	}
	n.Audit().Want()
}
