package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// How long a connect takes whose first SYN is lost, and how long one that is not: both are far from these bounds.
const (
	slow = 800 * time.Millisecond
	fast = 300 * time.Millisecond
)

// connects checks how long a connect from the first node to the second one's pod takes.
func connects(t *testing.T, f *lab.Flannel, wantSlow bool) {
	t.Helper()
	took, err := f.Nodes[0].Connect(f.Target(), 10*time.Second)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	if wantSlow && took < slow || !wantSlow && took > fast {
		t.Errorf("connect took %s; want slow: %v", took, wantSlow)
	}
}

// TestTunnelTxChecksum is incident (c): the mark of kube-proxy leaks to the tunnel's outer packets, and --random-fully rewrites them.
func TestTunnelTxChecksum(t *testing.T) {
	t.Parallel()
	for _, version := range []int{4, 6} {
		t.Run(map[int]string{4: "IPv4", 6: "IPv6"}[version], func(t *testing.T) {
			t.Parallel()
			f := lab.NewFlannel(t, version, "")
			f.Pods[1].Listen(f.Target())
			connects(t, f, false)
			f.MarkAndMasquerade("--random-fully")

			static := f.Nodes[0].Audit().Want("warning tunnel-tx-checksum " + f.Dev) // nothing was sent yet
			connects(t, f, true)
			proven := f.Nodes[0].Audit().Want("critical tunnel-tx-checksum " + f.Dev)
			for _, r := range []*lab.Report{static, proven} {
				if fixes := r.Find("tunnel-tx-checksum").Fixes; len(fixes) == 0 || !fixes[0].Auto {
					t.Errorf("the fix is not one that may be made unasked:\n%s", r.Describe())
				}
			}
			f.Nodes[0].Mend(proven)
			connects(t, f, false)
			f.Nodes[0].Audit().Want().Judged("tunnel-mtu-over-uplink")
		})
	}
}

// badChecksums makes a node send packets with bad checksums to another, to which something was done before, until the end.
func badChecksums(t *testing.T, before string) (f *lab.Flannel, end func()) {
	f = lab.NewFlannel(t, 4, "")
	f.Nodes[1].Sh(before)
	f.Pods[1].Listen(f.Target())
	f.MarkAndMasquerade("--random-fully")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				f.Nodes[0].Connect(f.Target(), time.Second) // what becomes of it is counted on the other side
			}
		}
	}()
	return f, func() {
		close(stop)
		<-done
	}
}

// TestUDPChecksumErrors sees the same incident from the receiving node, over a window. Where the node tracks connections the kernel sums a packet up, and
// drops it, before it knows the socket.
func TestUDPChecksumErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		before string // what is done to the receiving node
		want   []string
	}{
		{"without connection tracking", "nft flush ruleset", []string{"critical udp-incsum-errors Udp.InCsumErrors", "critical tunnel-tx-checksum flannel.1"}},
		{"with connection tracking", "true", []string{"warning udp-incsum-errors Udp.InCsumErrors"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, end := badChecksums(t, tt.before)
			r := f.Nodes[1].Audit("--window", "4s")
			end()
			r.Want(tt.want...)
			for _, n := range f.Nodes { // the advice: find the nodes that send bad checksums, which are all that are like this one
				n.Type("ip netns exec " + n.Name + " ethtool -K " + f.Dev + " tx-checksum-ip-generic off")
			}
			connects(t, f, false)
			f.Nodes[1].Audit("--window", "2s").Want().Judged("udp-incsum-errors", "tunnel-tx-checksum")
		})
	}
}

// TestDHCPAndStatic is incident (b)1: the tunnel's local address is the NIC's second, dynamic one, and plain MASQUERADE rewrites it to the first.
func TestDHCPAndStatic(t *testing.T) {
	t.Parallel()
	f := lab.NewFlannel(t, 4, "192.0.2.228")
	n := f.Nodes[0]
	f.Pods[1].Listen(f.Target())
	connects(t, f, false)
	f.MarkAndMasquerade("")
	connects(t, f, true)
	r := n.Audit().Want("critical dhcp-static-same-nic eth0", "critical tunnel-tx-checksum "+f.Dev)
	n.Type(r.Find("tunnel-tx-checksum").Fixes[0].Commands...)
	connects(t, f, false)
	n.Audit().Want("critical dhcp-static-same-nic eth0") // the packets arrive; the fault of the addresses stays

	// What the advice says in words: one address, and a tunnel that sends from it.
	n.Sh("ip addr del 192.0.2.228/24 dev eth0; ip link set " + f.Dev + " type vxlan local 192.0.2.1")
	f.Nodes[1].Sh("bridge fdb replace 02:00:00:00:00:0a dev " + f.Dev + " dst 192.0.2.1 self permanent")
	n.Audit().Want()
	connects(t, f, false)
}

func TestVTEPIdentity(t *testing.T) {
	t.Parallel()
	t.Run("the address is gone", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n := f.Nodes[0]
		n.Sh("ip addr del 192.0.2.1/24 dev eth0; ip addr add 192.0.2.77/24 dev eth0") // a new lease
		n.Audit().Want("critical vtep-identity " + f.Dev)
		n.Sh("ip link set " + f.Dev + " type vxlan local 192.0.2.77") // as the network pod does when it is made again
		n.Audit().Want()
	})
	t.Run("a peer has the same address", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n := f.Nodes[0]
		n.Sh("bridge fdb replace 02:00:00:00:00:0b dev " + f.Dev + " dst 192.0.2.1 self permanent")
		n.Audit().Want("critical vtep-identity " + f.Dev)
		n.Sh("bridge fdb replace 02:00:00:00:00:0b dev " + f.Dev + " dst 192.0.2.2 self permanent")
		n.Audit().Want()
	})
}

// TestTunnelMTUOverUplink shrinks the uplink under a tunnel, which the kernel allows.
func TestTunnelMTUOverUplink(t *testing.T) {
	t.Parallel()
	t.Run("in fragments", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n := f.Nodes[0]
		n.Sh("ip link set eth0 mtu 1400")
		r := n.Audit().Want("warning tunnel-mtu-over-uplink " + f.Dev)
		n.Type(r.Find("tunnel-mtu-over-uplink").Fixes[0].Commands[0])
		// The bridge and the pod still have the old MTU, which is now the tunnel's fault no more.
		if got := n.Audit().Wrong(); len(got) == 0 || slices.Contains(got, "warning tunnel-mtu-over-uplink "+f.Dev) {
			t.Errorf("after lowering the tunnel's MTU: %q", got)
		}
	})
	t.Run("silently", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 6, "")
		n := f.Nodes[0]
		n.Sh("ip link set eth0 mtu 1400")
		n.Audit().Want("critical tunnel-mtu-over-uplink " + f.Dev)
		n.Sh("ip link set eth0 mtu 1500")
		n.Audit().Want()
	})
}
