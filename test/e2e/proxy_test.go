package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// settled is how long kube-proxy must have run before the absence of its rules counts.
const settled = 121 * time.Second

// proxyNode makes a node of the cluster with a bridge, two pods and what kubelet leaves on a node.
func proxyNode(t *testing.T, c *lab.Cluster, role string, number int) (*lab.Node, [2]*lab.NS) {
	t.Helper()
	n := c.Join(role)
	n.Write("var/lib/kubelet/config.yaml", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nclusterDNS: [%s]\n", lab.DNSAddress)
	n.Write("etc/kubernetes/manifests/kube-apiserver.yaml", "spec: {containers: [{command: [kube-apiserver, --service-cluster-ip-range=%s]}]}\n", lab.ServiceCIDR)
	n.Write("etc/cni/net.d/10-bridge.conflist", `{"name":"pods","cniVersion":"1.0.0","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,`+
		`"hairpinMode":true,"ipam":{"type":"host-local","subnet":"10.244.%d.0/24"}}]}`, number)
	for _, plugin := range []string{"bridge", "host-local", "loopback"} {
		n.Program("opt/cni/bin/" + plugin)
	}
	gateway := fmt.Sprintf("10.244.%d.1", number)
	n.Sh("ip link add cni0 type bridge; ip addr add " + gateway + "/24 dev cni0; ip link set cni0 up")
	var pods [2]*lab.NS
	for i := range pods {
		pods[i] = n.BridgePod("cni0", fmt.Sprintf("veth%d", i), 1500, fmt.Sprintf("10.244.%d.%d/24", number, 2+i), gateway)
	}
	return n, pods
}

// TestServiceRulesMissing is incident (b)3 and its kin: a node without kube-proxy, one with the real kube-proxy in each mode, and one whose rules
// somebody has removed.
func TestServiceRulesMissing(t *testing.T) {
	t.Parallel()
	c := lab.NewCluster(t)
	type node struct {
		*lab.Node
		mode, remove string
	}
	var nodes []node
	for i, mode := range []node{
		{mode: "iptables", remove: "iptables-nft -t nat -F KUBE-SERVICES; iptables-nft -t nat -F KUBE-SVC-TCOU7JCQXEZGVUNU; iptables-nft -t nat -X KUBE-SVC-TCOU7JCQXEZGVUNU"},
		{mode: "iptables-legacy", remove: "iptables-legacy -t nat -F KUBE-SERVICES; iptables-legacy -t nat -F KUBE-SVC-TCOU7JCQXEZGVUNU; iptables-legacy -t nat -X KUBE-SVC-TCOU7JCQXEZGVUNU"},
		{mode: "nftables", remove: "nft delete element ip kube-proxy service-ips '{ " + lab.DNSAddress + " . udp . 53 }'"},
	} {
		n, _ := proxyNode(t, c, mode.mode, 10+i)
		n.Audit("--check", "service-rules-missing").Want("critical service-rules-missing kube-proxy") // kube-proxy is Pending
		nodes = append(nodes, node{n, mode.mode, mode.remove})
	}
	var proxies []*lab.Process
	for _, n := range nodes {
		proxies = append(proxies, c.Proxy(n.Node, n.mode))
		n.Audit().Want()
	}
	time.Sleep(settled)
	for i, n := range nodes {
		t.Logf("kube-proxy in %s mode", n.mode)
		n.Audit("--window", "2s").Want().Judged("service-rules-missing", "proxy-mode-leftover", "bridge-nf-call", "forward-blocked")
		n.Sh(n.remove)
		r := n.Audit().Want("critical service-rules-missing kube-proxy")
		if f := r.Find("service-rules-missing"); !strings.Contains(f.Message, "kube-dns") {
			t.Errorf("the message does not name the Service: %s", f.Message)
		}
		// The advice: let kube-proxy run and write its rules. It looks at what is there when it starts; a process that is gone is not young.
		proxies[i].Stop()
		c.Proxy(n.Node, n.mode).Stop()
		n.Audit().Want().Judged("service-rules-missing")
	}
}

// TestProxyModeLeftover changes the mode of a real kube-proxy, which does not clean up in the other backend of iptables, nor what comes back later.
func TestProxyModeLeftover(t *testing.T) {
	t.Parallel()
	t.Run("iptables", func(t *testing.T) {
		c := lab.NewCluster(t)
		n, _ := proxyNode(t, c, "left-iptables", 20)
		c.Proxy(n, "iptables-legacy").Stop()
		p := c.Proxy(n, "nftables")
		n.Audit().Want("warning proxy-mode-leftover kube-proxy iptables")
		p.Stop()
		c.Cleanup(n, "legacy") // what the advice says: kube-proxy --cleanup, then kube-proxy again
		c.Proxy(n, "nftables")
		n.Audit().Want().Judged("proxy-mode-leftover")
	})
	t.Run("nftables", func(t *testing.T) {
		c := lab.NewCluster(t)
		n, _ := proxyNode(t, c, "left-nftables", 21)
		c.Proxy(n, "nftables").Stop()
		n.Sh("nft list table ip kube-proxy >" + n.Root + "/saved; nft delete table ip kube-proxy")
		p := c.Proxy(n, "iptables")
		n.Sh("nft -f " + n.Root + "/saved") // as a restored file of rules does
		n.Audit().Want("critical proxy-mode-leftover kube-proxy nftables")
		p.Stop()
		c.Cleanup(n, "nft")
		c.Proxy(n, "iptables")
		n.Audit().Want().Judged("proxy-mode-leftover")
	})
}

// TestIPTablesBackendMixed runs kube-proxy first with one backend and then with the other, as after an upgrade of its image.
func TestIPTablesBackendMixed(t *testing.T) {
	t.Parallel()
	c := lab.NewCluster(t)
	n, _ := proxyNode(t, c, "mixed", 30)
	c.Proxy(n, "iptables-legacy").Stop()
	c.Proxy(n, "iptables")
	n.Sh("iptables-nft -t mangle -N KUBE-IPTABLES-HINT")                                                        // kubelet's
	r := n.Audit().Want("critical iptables-backend-mixed iptables", "warning iptables-backend-mixed ip6tables") // of IPv6 it has no Services here
	for _, f := range r.Findings {
		for _, command := range f.Fixes[0].Commands {
			if strings.HasPrefix(command, "kubectl") || strings.HasPrefix(command, "update-alternatives") {
				continue // there is no kubectl here, and the machine's own iptables stays as it is
			}
			n.Type(command)
		}
	}
	n.Audit().Want().Judged("iptables-backend-mixed")
	if out := n.Sh("iptables-nft-save -t nat"); !strings.Contains(out, "KUBE-SVC-") {
		t.Error("the rules of the backend that stays went too")
	}
}

// TestBridgeNFCall has a pod call a Service whose backend is on the same bridge.
func TestBridgeNFCall(t *testing.T) {
	t.Parallel()
	c := lab.NewCluster(t)
	n, pods := proxyNode(t, c, "bridged", 40)
	service := netip.MustParseAddrPort("10.96.7.7:80")
	if err := c.CreateService("default", "same-node", service.Addr().String(), []map[string]any{{"name": "http", "protocol": "TCP", "port": 80}}, []string{"10.244.40.3"}); err != nil {
		t.Fatal(err)
	}
	pods[1].Listen(netip.MustParseAddrPort("10.244.40.3:80"))
	c.Proxy(n, "iptables")
	lab.WaitFor(t, 20*time.Second, "the Service to work", func() (bool, string) {
		_, err := pods[0].Connect(service, time.Second)
		return err == nil, fmt.Sprint(err)
	})
	n.Audit().Want()
	n.Sh("sysctl -qw net.bridge.bridge-nf-call-iptables=0")
	if _, err := pods[0].Connect(service, time.Second); err == nil {
		t.Fatal("the fault does not show: the pod connects")
	}
	n.Mend(n.Audit().Want("critical bridge-nf-call net.bridge.bridge-nf-call-iptables"))
	if _, err := pods[0].Connect(service, time.Second); err != nil {
		t.Errorf("after the fix: %v", err)
	}
	n.Audit().Want().Judged("bridge-nf-call")
}
