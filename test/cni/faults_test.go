package cni

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/test/e2e/lab"
)

const conflist = `{"cniVersion":"1.1.0","name":"pods","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"hairpinMode":true,"mtu":1450,
"ipam":{"type":"host-local","ranges":[[{"subnet":"10.244.0.0/24"}],[{"subnet":"fd00:244::/64"}]],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}},{"type":"netmend"}]}`

// fault is something wrong that is brought in between the main plugin and netmend.
type fault struct {
	name, check string
	code        uint
	before      string // in the node, before the pod is made
	node, pod   string // scripts, afterwards
	mend        string // in the node, that makes it right again; empty where the pod is made anew
	mendPod     string
	words       []string // that the message has
}

func faults() []fault {
	return []fault{
		{
			name: "pod MTU above tunnel MTU", check: "pod-mtu-mismatch", code: 101, before: "ip link set eth0 mtu 1400; ip link set flannel.1 mtu 1350",
			mend: "ip link set eth0 mtu 1500; ip link set flannel.1 mtu 1450", words: []string{"1450", "1350", "flannel.1", "eth0"},
		},
		{name: "pod above its host end", check: "pod-mtu-mismatch", code: 101, node: "ip link set $(ls /sys/class/net/cni0/brif) mtu 1300", mend: "ip link set $(ls /sys/class/net/cni0/brif) mtu 1450", words: []string{"1300"}},
		{name: "tunnel above uplink", check: "tunnel-mtu-over-uplink", code: 102, node: "ip link set eth0 mtu 1480", mend: "ip link set eth0 mtu 1500", words: []string{"flannel.1", "1430"}},
		{
			name: "service rules gone", check: "service-rules-missing", code: 104, node: "iptables-nft -t nat -F KUBE-SERVICES; iptables-nft -t nat -F; iptables-nft -t nat -X KUBE-SVC-NPX46M4PTMTKRN6Y",
			mend: services, words: []string{"default/kubernetes"},
		},
		{name: "address of the node", check: "duplicate-ip-local", code: 105, node: "ip link add br1 type bridge; ip link set br1 up; ip addr add $IP/32 dev br1", mend: "ip link del br1", words: []string{"br1"}},
		{name: "route to elsewhere", check: "duplicate-ip-local", code: 105, node: "ip link add br1 type bridge; ip link set br1 up; ip route add $IP/32 dev br1", mend: "ip link del br1", words: []string{"br1"}},
		{name: "reserved for another", check: "duplicate-ip-local", code: 105, node: "printf 'other\\r\\neth0' >$ROOT/var/lib/cni/networks/pods/$IP", mend: "printf 'box\\r\\neth0' >$ROOT/var/lib/cni/networks/pods/$IP"},
		{name: "no default route", check: "pod-default-route", code: 106, pod: "ip route del default", mendPod: "ip route add default via 10.244.0.1"},
		{name: "gateway gone", check: "pod-default-route", code: 106, node: "ip addr flush dev cni0", mend: "ip addr add 10.244.0.1/24 dev cni0; ip addr add fd00:244::1/64 dev cni0", words: []string{"10.244.0.1"}},
		{name: "IPv6 off in the pod", check: "ipv6-pod", code: 108, pod: "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1"},
		{
			name: "DAD failed", check: "ipv6-dadfailed", code: 107, // the bridge sends the question back to who asked
			pod:     "sysctl -qw net.ipv6.conf.all.enhanced_dad=0 net.ipv6.conf.eth0.enhanced_dad=0 net.ipv6.conf.eth0.accept_dad=1; ip -6 addr add fd00:244::77/64 dev eth0; for i in $(seq 300); do ip -6 addr show dev eth0 dadfailed | grep -q ::77 && break; sleep 0.1; done",
			mendPod: "ip -6 addr del fd00:244::77/64 dev eth0", words: []string{"fd00:244::77"},
		},
		{
			name: "tunnel from the DHCP address", check: "dhcp-static-same-nic", code: 109,
			before: "ip link del flannel.1; ip addr add 192.0.2.15/24 dev eth0 valid_lft 3600 preferred_lft 3600; " + strings.ReplaceAll(tunnel, "192.0.2.1", "192.0.2.15"),
			mend:   "ip link del flannel.1; ip addr del 192.0.2.15/24 dev eth0; " + tunnel, words: []string{"192.0.2.15"},
		},
		{name: "tunnel from a foreign address", check: "vtep-identity", code: 110, before: "ip link del flannel.1; " + strings.ReplaceAll(tunnel, "192.0.2.1", "192.0.2.99"), mend: "ip link del flannel.1; " + tunnel, words: []string{"192.0.2.99"}},
		{name: "wrong address of the bridge", check: "cni0-wrong-address", code: 111, node: "ip addr del 10.244.0.1/24 dev cni0; ip addr add 10.244.9.1/24 dev cni0; ip addr add 10.244.0.1/24 dev cni0", mend: "ip addr del 10.244.9.1/24 dev cni0"},
		{name: "no forwarding", check: "ip-forward", code: 112, node: "sysctl -qw net.ipv4.ip_forward=0", mend: "sysctl -qw net.ipv4.ip_forward=1"},
		{name: "hairpin off", check: "hairpin", code: 116, node: "bridge link set dev $(ls /sys/class/net/cni0/brif) hairpin off", mend: "bridge link set dev $(ls /sys/class/net/cni0/brif) hairpin on"},
		{name: "configuration in a wrong order", check: "cni-conf-order", code: 113, node: `echo '{"cniVersion":"1.0.0","name":"a","plugins":[{"type":"portmap"},{"type":"bridge"}]}' >$ROOT/etc/cni/net.d/05-a.conflist`, mend: "rm $ROOT/etc/cni/net.d/05-a.conflist", words: []string{"portmap"}},
	}
}

// tunnel is flannel's device on a node, and services what kube-proxy would have written.
const (
	tunnel   = "ip link add flannel.1 type vxlan id 1 local 192.0.2.1 dev eth0 dstport 8472 nolearning; ip link set flannel.1 mtu 1450 up; ip addr add 10.244.0.0/32 dev flannel.1; ip route add 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink"
	services = "iptables-nft -t nat -N KUBE-SERVICES 2>/dev/null || true; iptables-nft -t nat -N KUBE-SVC-NPX46M4PTMTKRN6Y; iptables-nft -t nat -A KUBE-SVC-NPX46M4PTMTKRN6Y -j RETURN; " +
		"iptables-nft -t nat -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y"
)

// kubernetesNode is a node with an uplink, flannel's tunnel, kubelet's directory and kube-proxy's rules.
func kubernetesNode(t testing.TB) *node {
	n := bareNode(t)
	n.Sh(services)
	return n
}

// bareNode lacks only the rules.
func bareNode(t testing.TB) *node {
	n := newNode(t)
	n.Write("etc/cni/net.d/10-pods.conflist", conflist)
	n.Write("var/lib/kubelet/config.yaml", "clusterDNS: []\n")
	n.Sh("ip link add eth0 type veth peer name lan0; ip link set eth0 up; ip link set lan0 up; ip addr add 192.0.2.1/24 dev eth0; ip route add default via 192.0.2.254; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
	n.Sh(tunnel)
	return n
}

// plugins are the two configurations of the conflist.
func plugins(t testing.TB) (bridge, netmend map[string]any) {
	t.Helper()
	var list struct{ Plugins []map[string]any }
	if err := json.Unmarshal([]byte(conflist), &list); err != nil {
		t.Fatal(err)
	}
	for _, p := range list.Plugins {
		p["cniVersion"], p["name"] = "1.1.0", "pods"
	}
	return list.Plugins[0], list.Plugins[1]
}

// added makes a pod with IPv4, which takes no time, and gives it with the configuration of netmend behind its result.
func (n *node) added(t testing.TB) (pod *lab.NS, netmend map[string]any) {
	t.Helper()
	bridge, netmend := plugins(t)
	ipam := bridge["ipam"].(map[string]any)
	ipam["ranges"], ipam["routes"] = ipam["ranges"].([]any)[:1], ipam["routes"].([]any)[:1]
	pod = lab.NewNS(t, "pod")
	netmend["prevResult"] = json.RawMessage(n.must(n.run(call{plugin: "bridge", command: "ADD", pod: pod}, bridge)).out)
	netmend["timeout"], netmend["socket"] = "10s", "" // for busy machines
	return pod, netmend
}

// TestFaults brings in one fault after the other: warn passes the pod and says what is wrong, enforce refuses it, and mended it passes in silence.
func TestFaults(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) { testFault(t, n, f) })
	}
}

func testFault(t *testing.T, n *node, f fault) {
	bridge, netmend := plugins(t)
	netmend["timeout"] = "10s" // for busy machines
	netmend["socket"] = ""
	pod := lab.NewNS(t, "pod")
	ip := ""
	script := func(text string) {
		if text != "" {
			n.Sh("ROOT=" + n.Root + "; IP=" + ip + "; " + text)
		}
	}
	script(f.before)
	result := n.must(n.run(call{plugin: "bridge", command: "ADD", pod: pod}, bridge)).out
	defer func() { n.run(call{plugin: "bridge", command: "DEL", pod: pod}, bridge) }()
	netmend["prevResult"] = json.RawMessage(result)
	ip, _, _ = strings.Cut(addresses(t, result)[0], "/")
	script(f.node)
	if f.pod != "" {
		pod.Sh(f.pod)
	}
	add := call{plugin: "netmend", command: "ADD", pod: pod}

	warned := n.must(n.run(add, netmend))
	if d := cmp.Diff(decoded(t, result), decoded(t, warned.out)); d != "" {
		t.Errorf("warn: result differs (-in +out):\n%s", d)
	}
	if bytes.Count(warned.err, []byte("\n")) != 1 || !strings.Contains(string(warned.err), `"check":"`+f.check+`"`) {
		t.Errorf("warn: standard error is not one line about %s: %s", f.check, warned.err)
	}

	netmend["checks"] = map[string]any{f.check: "enforce"}
	refused := n.run(add, netmend)
	if refused.fail == nil || refused.fail.Code != f.code || !strings.Contains(refused.fail.Msg, f.check) || strings.Contains(refused.fail.Msg, "\n") {
		t.Fatalf("enforce: %s; want code %d", refused.fail, f.code)
	}
	for _, word := range append(f.words, "docs/checks/"+f.check+".md") {
		if !strings.Contains(refused.fail.Msg+refused.fail.Details, word) {
			t.Errorf("enforce: %q is not in %s", word, refused.fail)
		}
	}
	checked := n.run(call{plugin: "netmend", command: "CHECK", pod: pod}, netmend)
	if checked.fail == nil || checked.fail.Code != f.code {
		t.Errorf("CHECK: %s; want code %d", checked.fail, f.code)
	}
	exempt := add
	exempt.args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=x"
	n.must(n.run(exempt, netmend))
	n.must(n.run(call{plugin: "netmend", command: "DEL", pod: pod}, netmend))

	script(f.mend)
	if f.mendPod != "" {
		pod.Sh(f.mendPod)
	}
	if f.mend == "" && f.mendPod == "" {
		return
	}
	if f.before != "" { // the pod was made on the faulty node
		n.must(n.run(call{plugin: "bridge", command: "DEL", pod: pod}, bridge))
		netmend["prevResult"] = json.RawMessage(n.must(n.run(call{plugin: "bridge", command: "ADD", pod: pod}, bridge)).out)
	}
	if o := n.must(n.run(add, netmend)); len(o.err) > 0 {
		t.Errorf("mended: still a warning: %s", o.err)
	}
}

// addresses are those of a result.
func addresses(t testing.TB, result []byte) (out []string) {
	t.Helper()
	var r struct{ IPs []struct{ Address string } }
	if err := json.Unmarshal(result, &r); err != nil || len(r.IPs) == 0 {
		t.Fatalf("no addresses in %s: %v", result, err)
	}
	for _, ip := range r.IPs {
		out = append(out, ip.Address)
	}
	return out
}
