package e2e

import (
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestPodCIDRRoute has a network beside the pods' take addresses of theirs: a VPN those of the other node, where a pod is then not reached, and docker's
// bridge some of this node's own.
func TestPodCIDRRoute(t *testing.T) {
	t.Parallel()
	t.Run("a VPN", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n := f.Nodes[0]
		f.Pods[1].Listen(f.Target())
		n.Sh("ip tuntap add tun0 mode tun; ip addr add 10.8.0.2/24 dev tun0; ip link set tun0 up; ip route add 10.0.0.0/8 dev tun0")
		n.Audit().Want().Judged("podcidr-route") // it is wider than the pods' routes
		n.Sh("ip route add 10.244.1.0/25 dev tun0")
		if _, err := f.Pods[0].Connect(f.Target(), 300*time.Millisecond); err == nil {
			t.Error("the pod is reached: there is no fault")
		}
		r := n.Audit().Want("critical podcidr-route tun0")
		n.Type(r.Find("podcidr-route").Fixes[0].Commands[0])
		n.Audit().Want()
		if _, err := f.Pods[0].Connect(f.Target(), time.Second); err != nil {
			t.Errorf("mended, but: %v", err)
		}
	})
	t.Run("docker", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n := f.Nodes[0]
		n.Agent("dockerd")
		n.Sh("ip link add docker0 type bridge; ip addr add 10.244.0.129/25 dev docker0; ip link set docker0 up")
		r := n.Audit().Want("critical podcidr-route docker0")
		n.Type(r.Find("podcidr-route").Fixes[0].Commands[0])
		n.Audit().Want()
	})
	t.Run("a network where no node is yet", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n := f.Nodes[0]
		n.Agent("dockerd")
		n.Sh("ip link add docker0 type bridge; ip addr add 10.244.128.1/24 dev docker0; ip link set docker0 up")
		n.Audit().Want("warning podcidr-route docker0")
	})
}
