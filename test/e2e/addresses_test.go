package e2e

import (
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

func TestDuplicateIPLocal(t *testing.T) {
	t.Parallel()
	t.Run("two links of the node", func(t *testing.T) {
		t.Parallel()
		n := lab.NewNode(t, "node")
		peer := lab.NewNS(t, "peer")
		// Two container runtimes with the same default network.
		for _, dev := range []string{"podman1", "cni-podman0"} {
			n.Sh("ip link add " + dev + " type bridge; ip addr add 10.88.0.1/16 dev " + dev)
			lab.Veth(n.NS, "p-"+dev, peer, "p-"+dev)
			n.Sh("ip link set p-" + dev + " master " + dev + "; ip link set " + dev + " up")
		}
		r := n.Audit().Want("critical duplicate-ip-local 10.88.0.1")
		n.Type(r.Find("duplicate-ip-local").Fixes[0].Commands[1])
		n.Audit().Want()
	})
	t.Run("two pods", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n := f.Nodes[0]
		second := n.BridgePod("cni0", "veth1", 1450, f.Addr[0].String()+"/24", "10.244.0.1")
		n.Audit().Want("critical duplicate-ip-local " + f.Addr[0].String())
		second.Sh("ip addr flush dev eth0; ip addr add 10.244.0.3/24 dev eth0; ip route add default via 10.244.0.1") // the pod is deleted, its successor is not wrong
		n.Audit().Want()
	})
}

func TestIPv6DADFailed(t *testing.T) {
	t.Parallel()
	n, other := lab.NewNode(t, "node"), lab.NewNS(t, "other")
	lab.Veth(n.NS, "eth0", other, "eth0")
	other.Sh("ip addr add 2001:db8::5/64 dev eth0 nodad")
	lab.WaitFor(t, 10*time.Second, "the links to be ready", func() (bool, string) {
		out := n.Sh("ip -6 addr show dev eth0 tentative") + other.Sh("ip -6 addr show dev eth0 tentative")
		return out == "", out
	})
	n.Audit().Want()
	n.Sh("ip addr add 2001:db8::5/64 dev eth0")
	lab.WaitFor(t, 10*time.Second, "duplicate address detection", func() (bool, string) {
		out := n.Sh("ip -6 addr show dev eth0 dadfailed")
		return out != "", "no address is marked"
	})
	r := n.Audit().Want("critical ipv6-dadfailed eth0")
	other.Sh("ip addr del 2001:db8::5/64 dev eth0") // the other holder is found and goes
	n.Type(r.Find("ipv6-dadfailed").Fixes[0].Commands[1:3]...)
	lab.WaitFor(t, 10*time.Second, "duplicate address detection", func() (bool, string) {
		out := n.Sh("ip -6 addr show dev eth0 tentative")
		return out == "", out
	})
	n.Audit().Want().Judged("ipv6-dadfailed")
}
