package inside

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// calico is two nodes with pods at /32 routes and ipip between them, as calico makes them without an overlay of its own.
type calico struct {
	nodes [2]*lab.Node
	pods  [2]*lab.NS
}

func newCalico(t *testing.T) *calico {
	t.Helper()
	c := &calico{}
	for i := range c.nodes {
		c.nodes[i] = lab.NewNode(t, string(rune('a'+i)))
	}
	lab.Veth(c.nodes[0].NS, "eth0", c.nodes[1].NS, "eth0")
	for i, n := range c.nodes {
		peer := 1 - i
		n.Agent("calico-node")
		n.Write("etc/cni/net.d/10-calico.conflist", `{"name":"k8s-pod-network","cniVersion":"0.3.1","plugins":[{"type":"calico","mtu":1480,"ipam":{"type":"calico-ipam"}},{"type":"portmap","capabilities":{"portMappings":true}}]}`)
		n.Program("opt/cni/bin/calico")
		n.Program("opt/cni/bin/portmap")
		n.Program("opt/cni/bin/calico-ipam")
		n.Sh(fmt.Sprintf(`sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1
ip addr add 192.0.2.%d/24 dev eth0; ip route add default via 192.0.2.254
ip link set tunl0 up mtu 1480; ip addr add 192.168.%d.0/32 dev tunl0
ip route add blackhole 192.168.%d.0/26 proto 80
ip route add 192.168.%d.0/26 via 192.0.2.%d dev tunl0 proto bird onlink`, 1+i, 10+i, 10+i, 10+peer, 1+peer))
		p := n.Pod("pod")
		lab.Veth(n.NS, "cali123456789a", p, "eth0")
		n.Sh(fmt.Sprintf(`ip link set cali123456789a mtu 1480; sysctl -qw net.ipv4.conf.cali123456789a.proxy_arp=1 net.ipv4.conf.cali123456789a.rp_filter=1
ip route add 192.168.%d.1/32 dev cali123456789a scope link
ipt() { iptables-nft -w "$@"; }
ipt -N cali-FORWARD; ipt -N cali-from-wl-dispatch; ipt -N cali-tw-cali123456789a; ipt -N cali-fw-cali123456789a
ipt -A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
ipt -A FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m mark --mark 0x10000/0x10000 -j ACCEPT
ipt -A cali-FORWARD -i cali+ -j cali-from-wl-dispatch
ipt -A cali-from-wl-dispatch -i cali123456789a -g cali-fw-cali123456789a
ipt -A cali-from-wl-dispatch -j DROP
ipt -A cali-fw-cali123456789a -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
ipt -A cali-fw-cali123456789a -m conntrack --ctstate INVALID -j DROP
ipt -A cali-fw-cali123456789a -j MARK --set-xmark 0x10000/0x10000`, 10+i))
		p.Sh(fmt.Sprintf("ip link set eth0 mtu 1480; ip addr add 192.168.%d.1/32 dev eth0; ip route add 169.254.1.1 dev eth0 scope link; ip route add default via 169.254.1.1", 10+i))
		c.pods[i] = p
	}
	return c
}

func (c *calico) target() netip.AddrPort { return netip.MustParseAddrPort("192.168.11.1:8080") }

// TestHealthyCalico also shrinks the uplink under the tunnel, as in incident (b)2.
func TestHealthyCalico(t *testing.T) {
	c := newCalico(t)
	c.pods[1].Listen(c.target())
	if _, err := c.pods[0].Connect(c.target(), 5*time.Second); err != nil {
		t.Fatalf("it is not healthy: %v", err)
	}
	for _, n := range c.nodes {
		for _, args := range [][]string{nil, {"--window", "2s"}} {
			n.Audit(args...).Want().Judged("tunnel-mtu-over-uplink", "pod-mtu-mismatch", "cni-conf-order", "cni-leftover", "ip-forward", "rp-filter-strict",
				"forward-blocked", "duplicate-ip-local")
		}
	}
	n := c.nodes[0]
	n.Sh("ip link set eth0 mtu 1450")
	r := n.Audit()
	n.Type(r.Find("tunnel-mtu-over-uplink").Fixes[0].Commands[0])
	r.Want("critical tunnel-mtu-over-uplink tunl0")
	n.Sh("ip link set cali123456789a mtu 1430") // its pods are made again with the smaller MTU, as the advice says
	c.pods[0].Sh("ip link set eth0 mtu 1430")
	n.Write("etc/cni/net.d/10-calico.conflist", `{"name":"k8s-pod-network","cniVersion":"0.3.1","plugins":[{"type":"calico","mtu":1430,"ipam":{"type":"calico-ipam"}}]}`)
	n.Audit().Want().Judged("tunnel-mtu-over-uplink")
}

// TestGeneveTxChecksum is incident (c) with geneve in place of vxlan.
func TestGeneveTxChecksum(t *testing.T) {
	nodes := [2]*lab.Node{lab.NewNode(t, "a"), lab.NewNode(t, "b")}
	lab.Veth(nodes[0].NS, "eth0", nodes[1].NS, "eth0")
	for i, n := range nodes {
		n.Sh(fmt.Sprintf(`ethtool -K eth0 tx off >/dev/null
ip addr add 192.0.2.%d/24 dev eth0
ip link add gen0 type geneve id 1 remote 192.0.2.%d udpcsum
ip link set gen0 mtu 1450
ip addr add 10.244.0.%d/24 dev gen0; ip link set gen0 up`, 1+i, 2-i, 1+i))
	}
	target := netip.MustParseAddrPort("10.244.0.2:8080")
	nodes[1].Listen(target)
	n := nodes[0]
	connect := func() time.Duration {
		t.Helper()
		took, err := n.Connect(target, 20*time.Second)
		if err != nil {
			t.Fatalf("connect: %v", err)
		}
		return took
	}
	connect() // both know each other's hardware addresses now
	if took := connect(); took > 500*time.Millisecond {
		t.Fatalf("a healthy connect took %s", took)
	}
	n.Audit().Want().Judged("tunnel-tx-checksum")
	n.Sh(`iptables-nft -t nat -A OUTPUT -d 10.244.0.0/24 -p tcp -j MARK --or-mark 0x4000
iptables-nft -t nat -A POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
iptables-nft -t nat -A POSTROUTING -j MASQUERADE --random-fully`)
	if took := connect(); took < 800*time.Millisecond {
		t.Fatalf("the fault does not show: the connect took %s", took)
	}
	n.Mend(n.Audit().Want("critical tunnel-tx-checksum gen0"))
	if took := connect(); took > 500*time.Millisecond {
		t.Errorf("after the fix the connect took %s", took)
	}
	n.Audit().Want().Judged("tunnel-tx-checksum")
}
