package cri

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

// What flannel and kube-proxy have made on a node, and an uplink.
const (
	uplink   = "ip link add eth0 type veth peer name lan0; ip link set eth0 up; ip link set lan0 up; ip addr add 192.0.2.1/24 dev eth0; ip route add default via 192.0.2.254; sysctl -qw net.ipv4.ip_forward=1; "
	tunnel   = "ip link add flannel.1 type vxlan id 1 local 192.0.2.1 dev eth0 dstport 8472 nolearning; ip link set flannel.1 mtu 1450 up; ip addr add 10.244.0.0/32 dev flannel.1; ip route add 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink; "
	services = "iptables-nft -t nat -N KUBE-SERVICES 2>/dev/null || true; iptables-nft -t nat -N KUBE-SVC-NPX46M4PTMTKRN6Y; iptables-nft -t nat -A KUBE-SVC-NPX46M4PTMTKRN6Y -j RETURN; " +
		"iptables-nft -t nat -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y; "
	noServices = "iptables-nft -t nat -F KUBE-SERVICES; iptables-nft -t nat -F KUBE-SVC-NPX46M4PTMTKRN6Y; iptables-nft -t nat -X KUBE-SVC-NPX46M4PTMTKRN6Y"
)

// newNode is a node of a cluster with flannel and kube-proxy, with the plugins that its configuration names.
func newNode(t *testing.T) *lab.Node {
	t.Helper()
	n := lab.NewNode(t, "node")
	bin := filepath.Join(n.Root, "var/lib/cni/bin")
	for _, dir := range []string{bin, filepath.Join(n.Root, "etc/alternatives"), filepath.Join(n.Root, "var/log"), filepath.Join(n.Root, "run/netmend"), filepath.Join(n.Root, "var/lib/kubelet")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	links := map[string]string{"etc/alternatives/iptables": "/usr/sbin/iptables-nft", "etc/alternatives/ip6tables": "/usr/sbin/ip6tables-nft", "var/run": "/run"}
	for _, plugin := range []string{"bridge", "host-local", "loopback", "portmap"} {
		links["var/lib/cni/bin/"+plugin] = filepath.Join(lab.Cache(t, "cni"), plugin)
	}
	for link, target := range links {
		if err := os.Symlink(target, filepath.Join(n.Root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := lab.Build(filepath.Join(bin, "netmend"), "./plugins/netmend"); err != nil {
		t.Fatal(err)
	}
	n.Write("var/lib/kubelet/config.yaml", "clusterDNS: []\n")
	n.Sh(uplink + tunnel + services)
	return n
}

// next is the address that the next pod gets: host-local goes round.
func next(t *testing.T, n *lab.Node) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(n.Root, "var/lib/cni/networks/pods/last_reserved_ip.0"))
	if err != nil {
		t.Fatal(err)
	}
	last, err := netip.ParseAddr(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return last.Next().String()
}

// daemon answers the plugin, at the place where netmendd listens, until it is stopped.
func daemon(t *testing.T, n *lab.Node, answer string) (stop func()) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(n.Root, "run/netmend/netmend.sock"))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // stopped
			}
			if _, err := bufio.NewReader(c).ReadString('\n'); err == nil { // the question
				fmt.Fprintln(c, answer)
			}
			c.Close()
		}
	}()
	return func() { l.Close() }
}
