package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

const calicoConf = `{"name":"k8s-pod-network","cniVersion":"0.3.1","plugins":[{"type":"calico","ipam":{"type":"calico-ipam"}},{"type":"portmap","capabilities":{"portMappings":true}}]}`

// TestCNIConfOrder leaves calico's configuration on a node that has flannel now: the runtime takes the first file.
func TestCNIConfOrder(t *testing.T) {
	t.Parallel()
	t.Run("a leftover comes first", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n := f.Nodes[0]
		n.Write("etc/cni/net.d/05-calico.conflist", calicoConf)
		n.Program("opt/cni/bin/calico")
		r := n.Audit().Want("critical cni-conf-order /etc/cni/net.d/05-calico.conflist")
		n.Type(r.Find("cni-conf-order").Fixes[0].Commands[0])
		n.Audit().Want()
	})
	t.Run("cut in half", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n := f.Nodes[0]
		n.Agent("containerd") // which, unlike others, does not go on to the next file
		n.Write("etc/cni/net.d/00-broken.conflist", "%s", calicoConf[:len(calicoConf)/2])
		r := n.Audit().Want("critical cni-conf-order /etc/cni/net.d/00-broken.conflist")
		n.Type(r.Find("cni-conf-order").Fixes[0].Commands[0])
		n.Audit().Want()
	})
	t.Run("a program is missing", func(t *testing.T) {
		t.Parallel()
		f := lab.NewFlannel(t, 4, "")
		n := f.Nodes[0]
		if err := os.Remove(filepath.Join(n.Root, "opt/cni/bin/portmap")); err != nil {
			t.Fatal(err)
		}
		n.Audit().Want("critical cni-conf-order /etc/cni/net.d/10-flannel.conflist")
		n.Program("opt/cni/bin/portmap")
		n.Audit().Want()
	})
}

// TestCNILeftover leaves calico's devices, routes and chains on a node that has flannel now.
func TestCNILeftover(t *testing.T) {
	t.Parallel()
	f := lab.NewFlannel(t, 4, "")
	n := f.Nodes[0]
	n.Sh(`ip link add cali0123456789a type veth peer name gone; ip link set cali0123456789a up
ip link add vxlan.calico type vxlan id 4096 local 192.0.2.1 dev eth0 dstport 4789; ip addr add 10.244.200.0/32 dev vxlan.calico; ip link set vxlan.calico up
ip route add 10.244.201.0/26 dev vxlan.calico
iptables-nft -N cali-FORWARD; iptables-nft -A cali-FORWARD -m comment --comment 'cali:vjrMJCRpqwy5oRoX' -j MARK --set-xmark 0x0/0xe0000; iptables-nft -A FORWARD -j cali-FORWARD
iptables-nft -t nat -N cali-POSTROUTING; iptables-nft -t nat -A POSTROUTING -j cali-POSTROUTING; iptables-nft -t nat -N cali-nat-outgoing
iptables-nft -t nat -A cali-POSTROUTING -j cali-nat-outgoing; iptables-nft -t nat -A cali-nat-outgoing -s 10.244.0.0/16 -j MASQUERADE`)
	r := n.Audit()
	leftover := r.Find("cni-leftover")
	r.Want("critical cni-leftover " + leftover.On.Name)
	if len(leftover.Fixes) < 2 {
		t.Fatalf("no way without a reboot:\n%s", r.Describe())
	}
	n.Type(leftover.Fixes[1].Commands...)
	if out := n.Sh("ip link; iptables-nft-save"); strings.Contains(out, "cali") {
		t.Errorf("still there:\n%s", out)
	}
	if out := n.Sh("iptables-nft-save"); !strings.Contains(out, "FLANNEL-POSTRTG") {
		t.Errorf("flannel's chains went too:\n%s", out)
	}
	n.Audit().Want().Judged("cni-leftover")
}

func TestCNI0WrongAddress(t *testing.T) {
	t.Parallel()
	f := lab.NewFlannel(t, 4, "")
	n := f.Nodes[0]
	// The node was given another subnet and its bridge stayed; its pod is gone.
	n.Sh("ip link del veth0; ip addr flush dev cni0; ip addr add 10.244.9.1/24 dev cni0")
	r := n.Audit().Want("critical cni0-wrong-address cni0")
	n.Mend(r)
	n.Audit().Want()
}

// TestIPAMCapacity fills host-local's directory of a small subnet with reservations that no pod has.
func TestIPAMCapacity(t *testing.T) {
	t.Parallel()
	n := lab.NewNode(t, "node")
	n.Sh("sysctl -qw net.ipv4.ip_forward=1")
	n.Write("etc/cni/net.d/10-bridge.conflist", `{"name":"pods","cniVersion":"1.0.0","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipam":{"type":"host-local","subnet":"10.20.0.0/28"}}]}`)
	for _, plugin := range []string{"bridge", "host-local", "loopback"} {
		n.Program("opt/cni/bin/" + plugin)
	}
	n.Sh("ip link add cni0 type bridge; ip addr add 10.20.0.1/28 dev cni0; ip link set cni0 up")
	n.BridgePod("cni0", "veth0", 1500, "10.20.0.2/28", "10.20.0.1")
	dir := "var/lib/cni/networks/pods"
	n.Write(dir+"/lock", "")
	old := time.Now().Add(-time.Hour)
	for i := 2; i < 15; i++ {
		name := fmt.Sprintf("%s/10.20.0.%d", dir, i)
		n.Write(name, "%064d\r\neth0", i)
		if err := os.Chtimes(filepath.Join(n.Root, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	r := n.Audit().Want("critical ipam-capacity /var/lib/cni/networks/pods")
	for i := 0; len(r.Wrong()) > 0; i++ {
		if i == 3 {
			t.Fatalf("still not enough room after %d releases:\n%s", i, r.Describe())
		}
		n.Mend(r)
		r = n.Audit()
	}
	if _, err := os.Stat(filepath.Join(n.Root, dir, "10.20.0.2")); err != nil {
		t.Errorf("the reservation of a pod that runs was released: %v", err)
	}
}

// TestHairpin has a pod call a Service whose backend it is itself.
func TestHairpin(t *testing.T) {
	t.Parallel()
	f := lab.NewFlannel(t, 4, "")
	n, pod := f.Nodes[0], f.Pods[0]
	service := lab.MustAddr("10.96.7.7:80")
	pod.Listen(netip.AddrPortFrom(f.Addr[0], 8080))
	n.Sh("iptables-nft -t nat -A PREROUTING -d 10.96.7.7 -p tcp --dport 80 -j DNAT --to-destination 10.244.0.2:8080; " +
		"iptables-nft -t nat -I POSTROUTING -s 10.244.0.2 -d 10.244.0.2 -j MASQUERADE")
	if _, err := pod.Connect(service, time.Second); err != nil {
		t.Fatalf("it does not work before the fault: %v", err)
	}
	n.Sh("bridge link set dev veth0 hairpin off")
	if _, err := pod.Connect(service, time.Second); err == nil {
		t.Fatal("the fault does not show: the pod connects")
	}
	n.Mend(n.Audit().Want("warning hairpin veth0"))
	if _, err := pod.Connect(service, time.Second); err != nil {
		t.Errorf("after the fix: %v", err)
	}
	n.Audit().Want().Judged("hairpin")
}

// TestPodDefaultRoute takes the gateway's address away from the bridge.
func TestPodDefaultRoute(t *testing.T) {
	t.Parallel()
	f := lab.NewFlannel(t, 4, "")
	n := f.Nodes[0]
	f.Pods[1].Listen(f.Target())
	n.Sh("ip addr flush dev cni0")
	if _, err := f.Pods[0].Connect(f.Target(), time.Second); err == nil {
		t.Fatal("the fault does not show: the pod connects")
	}
	r := n.Audit().Want("critical pod-default-route eth0")
	n.Type(r.Find("pod-default-route").Fixes[0].Commands[0])
	if _, err := f.Pods[0].Connect(f.Target(), time.Second); err != nil {
		t.Errorf("after the fix: %v", err)
	}
	n.Audit().Want().Judged("pod-default-route")
}
