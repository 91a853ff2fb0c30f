package collect_test

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// shell runs a script in the namespace.
func (s *space) shell(script string) {
	s.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", s.name, "sh", "-e")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v: %s", script, err, out)
	}
}

// TestFilterKinds reads both backends side by side, and a translated flow of a tunnel with a port of its own.
func TestFilterKinds(t *testing.T) {
	t.Parallel()
	node := newSpace(t, "filter")
	node.shell(`
ip link add vx type vxlan id 7 dstport 5555 local 192.0.2.1 dev lo
iptables-nft -w -t nat -N KUBE-POSTROUTING
iptables-legacy -w -P FORWARD DROP
flow() { conntrack -I --timeout 300 -p udp "$@" >/dev/null; }
flow -s 192.0.2.1 -d 192.0.2.2 --sport 40000 --dport 5555 --src-nat 198.51.100.1
flow -s 192.0.2.1 -d 192.0.2.2 --sport 40000 --dport 5556 --src-nat 198.51.100.1
`)
	s := collected(t, node.open(), collect.Options{Kinds: []facts.Kind{
		facts.KindLinks, facts.KindConntrack, facts.KindTunnelNAT, facts.KindNFTables, facts.KindLegacy, facts.KindIPVS,
	}})
	if s.Missing != nil {
		t.Fatalf("missing: %v", s.Missing)
	}
	if s.Host.Table(facts.BackendNFT, "ip", "nat") == nil || s.Host.Table(facts.BackendLegacy, "ip", "filter") == nil {
		t.Errorf("tables %+v; want nat of nft and filter of legacy", s.Host.Tables)
	}
	if len(s.Host.TunnelNAT) != 1 || s.Host.TunnelNAT[0].Dst.Port() != 5555 {
		t.Errorf("translated flows %+v; want that to port 5555", s.Host.TunnelNAT)
	}
	if c := s.Host.Conntrack; c == nil || c.Count != 2 || c.Max == 0 || c.Stats == nil {
		t.Errorf("connection tracking %+v; want 2 entries, a limit and statistics", c)
	}
	if s.Host.IPVS == nil {
		t.Error("IPVS is nil; want it present or absent")
	}
}

// TestPolicyCounterDelta counts what meets a policy within the window.
func TestPolicyCounterDelta(t *testing.T) {
	t.Parallel()
	node := newSpace(t, "policy")
	node.shell("iptables-nft -w -P OUTPUT DROP")
	h := node.open()
	send := sync.OnceFunc(func() {
		_ = h.Node().Do(func() error { // it is dropped, which is what is to be counted
			c, err := net.Dial("udp", "127.0.0.1:9")
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte("x"))
			return err
		})
	})
	within := func(time.Duration, time.Duration) { send() }
	s := collected(t, h, collect.Options{Kinds: []facts.Kind{facts.KindNFTables}, Window: time.Second, Progress: within})
	c := s.Host.Table(facts.BackendNFT, "ip", "filter").Chain("OUTPUT")
	if c.DeltaPackets == nil || *c.DeltaPackets != 1 {
		t.Errorf("OUTPUT %+v; want a delta of 1 packet", *c)
	}
}

// TestNodeKinds derives from a node's files what the caller did not say.
func TestNodeKinds(t *testing.T) {
	t.Parallel()
	node := newSpace(t, "files")
	node.shell("nft add table ip kube-proxy; nft add map ip kube-proxy service-ips '{ type ipv4_addr . inet_proto . inet_service : verdict; " +
		"elements = { 10.96.0.1 . tcp . 443 : accept }; }'")
	root := t.TempDir()
	files := map[string]string{
		"proc/uptime":                                  "100.0 1\n",
		"etc/cni/net.d/10-flannel.conflist":            `{"name":"cbr0","cniVersion":"1.0.0","plugins":[{"type":"flannel"}]}`,
		"run/flannel/subnet.env":                       "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.3.1/24\nFLANNEL_MTU=1450\n",
		"var/lib/cni/networks/cbr0/10.244.3.2":         "id\r\neth0",
		"etc/kubernetes/manifests/kube-apiserver.yaml": "- --service-cluster-ip-range=10.96.0.0/12\n",
		"etc/sysctl.conf":                              "net.ipv4.ip_forward=1\n",
	}
	for name, text := range files {
		writeFile(t, filepath.Join(root, name), text)
	}
	kinds := []facts.Kind{facts.KindServiceVIPs, facts.KindProxy, facts.KindCNIConfig, facts.KindIPAM, facts.KindAgents, facts.KindSysctlFiles}
	s := collected(t, node.openRoot(root), collect.Options{Kinds: kinds})
	if s.Missing != nil {
		t.Fatalf("missing: %v", s.Missing)
	}
	if s.Proxy == nil || s.Proxy.Mode != facts.ModeNFTables {
		t.Errorf("proxy %+v; want nftables mode", s.Proxy)
	}
	if len(s.ServiceVIPs) != 1 || !s.ServiceVIPs[0].Found || len(s.Intent.Services) != 3 {
		t.Errorf("services %+v of %+v; want the API server's found, DNS presumed and left out", s.ServiceVIPs, s.Intent.Services)
	}
	if d := cmp.Diff([]string{"10.244.0.0/16"}, texts(s.Intent.PodCIDRs)); d != "" {
		t.Errorf("the cluster's pods (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"10.244.3.0/24"}, texts(s.Intent.NodePodCIDR)); d != "" {
		t.Errorf("the node's pods (-want +got):\n%s", d)
	}
	if len(s.IPAM.Networks) != 1 || s.IPAM.Networks[0].Capacity != 253 || len(s.SysctlFiles) != 1 {
		t.Errorf("reservations %+v and settings %+v; want one network of 253 addresses and one setting", s.IPAM, s.SysctlFiles)
	}

	told := facts.Intent{
		PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, NodePodCIDR: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/24")},
		Services: []facts.ServiceIntent{{Name: "a/b:c", VIP: netip.MustParseAddr("10.96.0.7"), Port: 80, Protocol: "tcp", Source: "--service"}},
	}
	s = collected(t, node.openRoot(root), collect.Options{Kinds: []facts.Kind{facts.KindServiceVIPs, facts.KindCNIConfig}, Intent: told})
	if d := cmp.Diff(told, s.Intent, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("what the caller said was changed (-want +got):\n%s", d)
	}
	if len(s.ServiceVIPs) != 1 || s.ServiceVIPs[0].Found || s.Proxy != nil {
		t.Errorf("services %+v and proxy %+v; want the one that was named, missing, and no kind that was not asked for", s.ServiceVIPs, s.Proxy)
	}
}

// TestPodRangesOfHostLocal has no flannel: the first file that can be used says which addresses the node's pods have.
func TestPodRangesOfHostLocal(t *testing.T) {
	t.Parallel()
	node, root := newSpace(t, "ranges"), t.TempDir()
	for name, text := range map[string]string{
		"proc/uptime":                    "100.0 1\n",
		"etc/cni/net.d/00-cut.conflist":  `{"name":`,
		"etc/cni/net.d/10-pods.conflist": `{"name":"a","cniVersion":"1.0.0","plugins":[{"type":"bridge","ipam":{"type":"host-local","ranges":[[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00::/64"}]]}}]}`,
		"etc/cni/net.d/20-more.conf":     `{"name":"b","cniVersion":"1.0.0","type":"bridge","ipam":{"type":"host-local","subnet":"10.2.0.0/24"}}`,
	} {
		writeFile(t, filepath.Join(root, name), text)
	}
	s := collected(t, node.openRoot(root), collect.Options{Kinds: []facts.Kind{facts.KindCNIConfig}})
	want := []string{"10.1.0.0/24", "fd00::/64"}
	if d := cmp.Diff(want, texts(s.Intent.NodePodCIDR)); d != "" {
		t.Errorf("the node's pods (-want +got):\n%s", d)
	}
	if d := cmp.Diff(want, texts(s.Intent.PodCIDRs)); d != "" {
		t.Errorf("the cluster's pods, of which the node's are known (-want +got):\n%s", d)
	}
}

// openRoot opens the node that lives in the namespace, with the files below root.
func (s *space) openRoot(root string) *host.Host {
	s.t.Helper()
	h, err := host.Open(host.Options{Root: root, NetNS: s.path()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := h.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return h
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func texts(all []netip.Prefix) (out []string) {
	for _, p := range all {
		out = append(out, p.String())
	}
	return out
}
