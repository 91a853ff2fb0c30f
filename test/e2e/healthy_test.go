package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// healthy audits a node on which nothing is wrong, with a window and without, and says what else there was.
func healthy(t *testing.T, n *lab.Node, judged ...string) {
	t.Helper()
	for _, args := range [][]string{nil, {"--window", "1s"}} {
		r := n.Audit(args...).Want().Judged(judged...)
		if r.Exit != 0 {
			t.Errorf("exit %d; want 0", r.Exit)
		}
	}
}

func TestHealthyPlainHost(t *testing.T) {
	t.Parallel()
	n, router := lab.NewNode(t, "host"), lab.NewNS(t, "router")
	lab.Veth(n.NS, "eth0", router, "eth0")
	router.Sh("ip addr add 192.0.2.254/24 dev eth0; ip addr add 2001:db8::fe/64 dev eth0")
	n.Sh("ip addr add 192.0.2.1/24 dev eth0 valid_lft 3600 preferred_lft 3600; ip addr add 2001:db8::1/64 dev eth0 nodad; ip route add default via 192.0.2.254")
	healthy(t, n, "dhcp-static-same-nic", "duplicate-ip-local", "bridge-mtu", "ipv6-dadfailed", "conntrack-full", "listen-overflow")
}

// TestHealthyBridge has the reference plugins make the pods.
func TestHealthyBridge(t *testing.T) {
	t.Parallel()
	n, router := lab.NewNode(t, "node"), lab.NewNS(t, "router")
	lab.Veth(n.NS, "eth0", router, "eth0")
	n.Sh("ip addr add 192.0.2.1/24 dev eth0; ip route add default via 192.0.2.254")
	plugins := lab.Cache(t, "cni")
	for _, plugin := range []string{"bridge", "host-local", "portmap", "loopback", "cnitool"} {
		data, err := os.ReadFile(filepath.Join(plugins, plugin))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(n.Root, "opt/cni/bin", plugin)
		if err := os.WriteFile(path, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	n.Write("etc/cni/net.d/10-pods.conflist", `{"name":"pods","cniVersion":"1.0.0","plugins":[
{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,"hairpinMode":true,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.22.0.0/24"}],[{"subnet":"fd00:22::/64"}]],
"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}},{"type":"portmap","capabilities":{"portMappings":true},"snat":true}]}`)
	var pods []*lab.NS
	for i := range 3 {
		p := n.Pod(fmt.Sprintf("pod%d", i))
		n.Type("CNI_PATH=" + n.Root + "/opt/cni/bin NETCONFPATH=" + n.Root + "/etc/cni/net.d " + n.Root + "/opt/cni/bin/cnitool add pods " + p.Path)
		pods = append(pods, p)
	}
	// The bridge plugin does not wait for the link-local addresses.
	lab.WaitFor(t, 10*time.Second, "addresses", func() (bool, string) {
		out := n.Sh("ip -6 addr show tentative")
		for _, p := range pods {
			out += p.Sh("ip -6 addr show tentative")
		}
		return out == "", out
	})
	reserved, err := filepath.Glob(filepath.Join(n.Root, "var/lib/cni/networks/pods/10.22.0.*"))
	if err != nil || len(reserved) != 3 {
		t.Fatalf("host-local has reserved %q, %v; want three addresses", reserved, err)
	}
	healthy(t, n, "ip-forward", "pod-mtu-mismatch", "bridge-mtu", "cni-conf-order", "cni0-wrong-address", "ipam-capacity", "duplicate-ip-local", "forward-blocked", "ipv6-dadfailed")
}

func TestHealthyFlannel(t *testing.T) {
	t.Parallel()
	for _, version := range []int{4, 6} {
		t.Run(fmt.Sprintf("IPv%d", version), func(t *testing.T) {
			t.Parallel()
			f := lab.NewFlannel(t, version, "")
			f.Pods[1].Listen(f.Target())
			for i, n := range f.Nodes {
				n.Agent("containerd")
				if _, err := f.Pods[0].Connect(f.Target(), time.Second); err != nil {
					t.Errorf("connect: %v", err)
				}
				healthy(t, n, "tunnel-tx-checksum", "tunnel-mtu-over-uplink", "vtep-identity", "pod-mtu-mismatch", "bridge-mtu", "cni-conf-order", "cni-leftover",
					"ip-forward", "rp-filter-strict", "forward-blocked", "duplicate-ip-local", "iptables-backend-mixed")
				if i == 0 && version == 4 {
					healthy(t, mixed(t, f), "cni-leftover", "duplicate-ip-local", "tunnel-tx-checksum")
				}
			}
		})
	}
}

// mixed adds to a node what healthy nodes have too: strict reverse path filters, an empty legacy table, jumbo frames below, a virtual address, Services'
// addresses on the loopback.
func mixed(t *testing.T, f *lab.Flannel) *lab.Node {
	t.Helper()
	n := f.Nodes[0]
	n.Sh(`sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1
iptables-legacy -t nat -S >/dev/null
ip link set eth0 mtu 9000
ip addr add 192.0.2.200/32 dev eth0
ip addr add 10.96.0.10/32 dev lo`)
	return n
}

// TestHealthyDocker has docker's bridge and rules beside flannel: FORWARD drops what it does not accept.
func TestHealthyDocker(t *testing.T) {
	t.Parallel()
	f := lab.NewFlannel(t, 4, "")
	n := f.Nodes[0]
	f.Pods[1].Listen(f.Target())
	n.Agent("dockerd")
	n.Sh(`ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up
ipt() { iptables-nft -w "$@"; }
ipt -P FORWARD DROP
for c in DOCKER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2 DOCKER-USER; do ipt -N $c; done
ipt -t nat -N DOCKER
ipt -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
ipt -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
ipt -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
ipt -t nat -A DOCKER -i docker0 -j RETURN
ipt -I FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
ipt -I FORWARD -o docker0 -j DOCKER
ipt -I FORWARD -i docker0 ! -o docker0 -j ACCEPT
ipt -I FORWARD -i docker0 -o docker0 -j ACCEPT
ipt -I FORWARD -j DOCKER-ISOLATION-STAGE-1
ipt -I FORWARD -j DOCKER-USER
ipt -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
ipt -A DOCKER-ISOLATION-STAGE-1 -j RETURN
ipt -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
ipt -A DOCKER-ISOLATION-STAGE-2 -j RETURN
ipt -A DOCKER-USER -j RETURN`)
	container := lab.NewNS(t, "container")
	lab.Veth(n.NS, "veth9", container, "eth0")
	n.Sh("ip link set veth9 master docker0")
	container.Sh("ip addr add 172.17.0.2/16 dev eth0; ip route add default via 172.17.0.1")
	if _, err := f.Pods[0].Connect(f.Target(), time.Second); err != nil {
		t.Fatalf("it is not healthy: %v", err)
	}
	healthy(t, n, "forward-blocked", "duplicate-ip-local", "bridge-mtu", "cni-leftover", "tunnel-tx-checksum")
}

// TestHealthySelf audits the namespace that the test runs in, as a person does without flags. What is wrong with this machine is not known, so only that
// there is a report, and that it says so, is checked.
func TestHealthySelf(t *testing.T) {
	t.Parallel()
	r := lab.Audit(t)
	if len(r.Passed) == 0 {
		t.Errorf("no check passed:\n%s", r.Describe())
	}
	for _, s := range r.Skipped {
		if strings.Contains(s.Reason, "permission denied") || strings.Contains(s.Reason, "not permitted") {
			t.Errorf("root was refused: %s: %s", s.Check, s.Reason)
		}
	}
}
