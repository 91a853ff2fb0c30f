package e2e

import (
	"net/netip"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

// packetsPass checks whether an UDP packet of that size gets from one namespace to the other.
func packetsPass(t *testing.T, from, to *lab.NS, addr netip.Addr, size int, want bool) {
	t.Helper()
	if got := from.Send(to, addr, size); got != want {
		t.Errorf("a packet of %d bytes from %s to %s: arrived %v; want %v", size, from.Name, addr, got, want)
	}
}

func TestPodMTUMismatch(t *testing.T) {
	t.Parallel()
	t.Run("the pod sends more than the node's end takes", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n, pod := f.Nodes[0], f.Pods[0]
		gateway := lab.MustAddr("10.244.0.1:80").Addr()
		pod.Sh("ip link set eth0 mtu 1500")
		n.Sh("ip link set veth0 mtu 1400")
		packetsPass(t, pod, n.NS, gateway, 1450, false)
		r := n.Audit("--check", "pod-mtu-mismatch").Want("critical pod-mtu-mismatch eth0")
		if got, want := r.Find("pod-mtu-mismatch").On.NetNS, pod.Inode(); got != want {
			t.Errorf("the finding is on namespace %d; want the pod's, %d", got, want)
		}
		n.Mend(r)
		packetsPass(t, pod, n.NS, gateway, 1400, true)
		n.Audit().Want()
	})
	t.Run("the pod sends more than the tunnel carries", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n := f.Nodes[0]
		n.Sh("ip link set veth0 mtu 1500")
		f.Pods[0].Sh("ip link set eth0 mtu 1500")
		n.Mend(n.Audit().Want("warning pod-mtu-mismatch eth0"))
		n.Audit().Want()
	})
}

func TestBridgeMTU(t *testing.T) {
	t.Parallel()
	f := lab.NewFlannel(t, 4, "")
	n, pod := f.Nodes[0], f.Pods[0]
	// A bridge whose MTU was set by hand no longer follows its ports.
	n.Sh("ip link set veth0 mtu 1400; ip link set cni0 mtu 1450")
	pod.Sh("ip link set eth0 mtu 1400")
	packetsPass(t, n.NS, pod, f.Addr[0], 1450, false)
	r := n.Audit().Want("warning bridge-mtu cni0")
	n.Type(r.Find("bridge-mtu").Fixes[0].Commands[0])
	packetsPass(t, n.NS, pod, f.Addr[0], 1400, true)
	n.Audit().Want()
}
