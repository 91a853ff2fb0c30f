package lab

import (
	"fmt"
	"net/netip"
	"time"
)

// Flannel is two nodes that are joined by a link, with a tunnel as flannel makes it, a bridge as its CNI configuration asks for, and a pod on each.
type Flannel struct {
	Nodes [2]*Node
	Pods  [2]*NS
	Addr  [2]netip.Addr // of the pods
	Dev   string        // the tunnel device

	plan flannelPlan
}

// flannelPlan is what differs between the address families; %d is the number of a node.
type flannelPlan struct {
	dev, uplink, subnet, gateway, pod, bits, network, any string
	mtu                                                   int
	family, tables                                        string
}

var plans = map[int]flannelPlan{
	4: {dev: "flannel.1", uplink: "192.0.2.%d", subnet: "10.244.%d.0", gateway: "10.244.%d.1", pod: "10.244.%d.2", bits: "24", network: PodCIDR,
		any: "0.0.0.0/0", mtu: 1450, family: "-4", tables: "iptables"},
	6: {dev: "flannel-v6.1", uplink: "2001:db8::%d", subnet: "fd00:244:0:%d::", gateway: "fd00:244:0:%d::1", pod: "fd00:244:0:%d::2", bits: "64",
		network: "fd00:244::/48", any: "::/0", mtu: 1430, family: "-6", tables: "ip6tables"},
}

// NewFlannel builds the two nodes over IPv4 or IPv6. The first node's uplink may have a second, dynamic address that the tunnel uses, as a
// NIC has that was configured twice.
func NewFlannel(t TB, version int, dynamic string) *Flannel {
	t.Helper()
	f := &Flannel{plan: plans[version]}
	f.Dev = f.plan.dev
	local := [2]string{fmt.Sprintf(f.plan.uplink, 1), fmt.Sprintf(f.plan.uplink, 2)}
	for i := range f.Nodes {
		f.Nodes[i] = NewNode(t, string(rune('a'+i)))
		f.Addr[i] = netip.MustParseAddr(fmt.Sprintf(f.plan.pod, i))
	}
	Veth(f.Nodes[0].NS, "eth0", f.Nodes[1].NS, "eth0")
	for i, n := range f.Nodes {
		nodad := map[int]string{6: " nodad"}[version]
		n.Sh("ethtool -K eth0 tx off >/dev/null") // a NIC that finishes checksums on the wire
		n.Sh("ip addr add " + local[i] + "/" + map[int]string{4: "24", 6: "64"}[version] + " dev eth0" + nodad)
		n.Sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
	}
	if dynamic != "" {
		f.Nodes[0].Sh("ip addr add " + dynamic + "/24 dev eth0 valid_lft 3600 preferred_lft 3600")
		local[0] = dynamic
	}
	for i, n := range f.Nodes {
		f.tunnel(i, local)
		n.Agent("flanneld")
		f.bridge(i)
		f.rules(i)
	}
	// An address of IPv6 and the bridge's multicast snooping take their time.
	for i, n := range f.Nodes {
		WaitFor(t, 10*time.Second, "the nodes to reach each other's pods", func() (bool, string) {
			return n.Send(f.Pods[1-i], f.Addr[1-i], 100) && f.Pods[i].Send(f.Pods[1-i], f.Addr[1-i], 100), "no packet arrives"
		})
	}
	return f
}

// JoinFlannel is what flannel does, over IPv4, on two nodes whose uplinks have these addresses, and whose pods have 10.244.0.0/24 and 10.244.1.0/24. Bridges and
// pods are not its business, and there is no process of it.
func JoinFlannel(nodes [2]*Node, uplinks [2]string) *Flannel {
	f := &Flannel{Nodes: nodes, Dev: plans[4].dev, plan: plans[4]}
	for i := range nodes {
		f.tunnel(i, uplinks)
		f.rules(i)
	}
	return f
}

// MAC is the address of a node's tunnel device.
func (f *Flannel) MAC(i int) string { return fmt.Sprintf("02:00:00:00:00:%02x", 10+i) }

// tunnel makes the device and the forwarding state of one node as flannel does (backend/vxlan).
func (f *Flannel) tunnel(i int, local [2]string) {
	n, p, peer := f.Nodes[i], f.plan, 1-i
	subnet := func(i int) string { return fmt.Sprintf(p.subnet, i) }
	n.Sh(fmt.Sprintf("ip link add %s address %s mtu %d type vxlan id 1 local %s dev eth0 dstport 8472 nolearning udpcsum", p.dev, f.MAC(i), p.mtu, local[i]))
	n.Sh(fmt.Sprintf("ip addr add %s/%s dev %s; ip link set %s up", subnet(i), map[string]string{"-4": "32", "-6": "128 nodad"}[p.family], p.dev, p.dev))
	n.Sh(fmt.Sprintf("ip %s route add %s/%s via %s dev %s onlink", p.family, subnet(peer), p.bits, subnet(peer), p.dev))
	n.Sh(fmt.Sprintf("ip neigh add %s lladdr %s dev %s nud permanent", subnet(peer), f.MAC(peer), p.dev))
	n.Sh(fmt.Sprintf("bridge fdb add %s dev %s dst %s self permanent", f.MAC(peer), p.dev, local[peer]))
	env := fmt.Sprintf("FLANNEL_NETWORK=%s\nFLANNEL_SUBNET=%s/%s\nFLANNEL_MTU=%d\nFLANNEL_IPMASQ=true\n", p.network, fmt.Sprintf(p.gateway, i), p.bits, p.mtu)
	if p.family == "-6" {
		env = fmt.Sprintf("FLANNEL_IPV6_NETWORK=%s\nFLANNEL_IPV6_SUBNET=%s/%s\nFLANNEL_MTU=%d\nFLANNEL_IPMASQ=true\n", p.network, fmt.Sprintf(p.gateway, i), p.bits, p.mtu)
	}
	n.Write("run/flannel/subnet.env", "%s", env)
}

// bridge makes cni0 and a pod as the bridge plugin does for flannel's configuration.
func (f *Flannel) bridge(i int) {
	n, p := f.Nodes[i], f.plan
	nodad := map[string]string{"-6": " nodad"}[p.family]
	gateway := fmt.Sprintf(p.gateway, i)
	n.Write("etc/cni/net.d/10-flannel.conflist", `{"name":"cbr0","cniVersion":"1.0.0","plugins":[
{"type":"flannel","delegate":{"hairpinMode":true,"isDefaultGateway":true}},{"type":"portmap","capabilities":{"portMappings":true}}]}`)
	for _, plugin := range []string{"flannel", "bridge", "host-local", "portmap", "loopback"} {
		n.Program("opt/cni/bin/" + plugin)
	}
	n.Sh(fmt.Sprintf("ip link add cni0 mtu %d type bridge; ip addr add %s/%s dev cni0%s; ip link set cni0 up", p.mtu, gateway, p.bits, nodad))
	f.Pods[i] = n.BridgePod("cni0", "veth0", p.mtu, f.Addr[i].String()+"/"+p.bits+nodad, gateway)
}

// rules are those of flannel's traffic manager (pkg/trafficmngr/iptables).
func (f *Flannel) rules(i int) {
	own := fmt.Sprintf(f.plan.subnet, i) + "/" + f.plan.bits
	multicast := map[string]string{"-4": "224.0.0.0/4", "-6": "ff00::/8"}[f.plan.family]
	f.Nodes[i].Sh(`ipt() { ` + f.plan.tables + `-nft -w "$@"; }
net=` + f.plan.network + ` own=` + own + ` multicast=` + multicast + `
ipt -t nat -N FLANNEL-POSTRTG
ipt -t nat -A POSTROUTING -m comment --comment 'flanneld masq' -j FLANNEL-POSTRTG
ipt -t nat -A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment 'flanneld masq' -j RETURN
ipt -t nat -A FLANNEL-POSTRTG -s $own -d $net -m comment --comment 'flanneld masq' -j RETURN
ipt -t nat -A FLANNEL-POSTRTG -s $net -d $own -m comment --comment 'flanneld masq' -j RETURN
ipt -t nat -A FLANNEL-POSTRTG ! -s $net -d $own -m comment --comment 'flanneld masq' -j RETURN
ipt -t nat -A FLANNEL-POSTRTG -s $net ! -d $multicast -m comment --comment 'flanneld masq' -j MASQUERADE --random-fully
ipt -t nat -A FLANNEL-POSTRTG ! -s $net -d $net -m comment --comment 'flanneld masq' -j MASQUERADE --random-fully
ipt -N FLANNEL-FWD
ipt -A FORWARD -m comment --comment 'flanneld forward' -j FLANNEL-FWD
ipt -A FLANNEL-FWD -s $net -m comment --comment 'flanneld forward' -j ACCEPT
ipt -A FLANNEL-FWD -d $net -m comment --comment 'flanneld forward' -j ACCEPT`)
}

// MarkAndMasquerade are the rules of a kube-proxy that masquerades packets to the other node's pods and leaks its mark to the tunnel's outer packets.
// The option is a further one of MASQUERADE.
func (f *Flannel) MarkAndMasquerade(option string) {
	f.Nodes[0].Sh(fmt.Sprintf(`ipt() { %s-nft -w -t nat "$@"; }
ipt -N KUBE-MARK-MASQ; ipt -N KUBE-POSTROUTING
ipt -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
ipt -A OUTPUT -d %s/%s -p tcp -j KUBE-MARK-MASQ
ipt -I POSTROUTING -j KUBE-POSTROUTING
ipt -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
ipt -A KUBE-POSTROUTING -j MASQUERADE %s`, f.plan.tables, fmt.Sprintf(f.plan.subnet, 1), f.plan.bits, option))
}

// Target is where the second node's pod listens.
func (f *Flannel) Target() netip.AddrPort { return netip.AddrPortFrom(f.Addr[1], 8080) }
