package host

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// service is a Service as a caller names it.
func service(name, vip, protocol string, port uint16) facts.ServiceIntent {
	s := facts.ServiceIntent{Name: name, Protocol: protocol, Port: port, Source: "test"}
	if vip != "" {
		s.VIP = netip.MustParseAddr(vip)
	}
	return s
}

type vipCase struct {
	name               string
	service            facts.ServiceIntent
	found, noEndpoints bool
}

func checkVIPs(t *testing.T, h *Host, mode string, cases []vipCase) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			got := inNS(t, h, func() ([]facts.ServiceVIP, error) {
				return h.Node().ServiceVIPs(mode, []facts.ServiceIntent{tt.service})
			})
			if len(got) != 1 || got[0].Found != tt.found || got[0].NoEndpoints != tt.noEndpoints || got[0].Mode != mode || got[0].Detail == "" {
				t.Errorf("ServiceVIPs = %+v; want found %v, no endpoints %v, and in what", got, tt.found, tt.noEndpoints)
			}
		})
	}
}

// kubeProxyNFT is as kube-proxy fills it (pkg/proxy/nftables): a Service with endpoints, one without, one whose endpoints are on this node alone.
const kubeProxyNFT = `
nft -f - <<'END'
table ip kube-proxy {
 map no-endpoint-services {
  type ipv4_addr . inet_proto . inet_service : verdict
 }
 map service-ips {
  type ipv4_addr . inet_proto . inet_service : verdict
 }
 chain reject-chain {
  reject
 }
 chain service-2QRHZV4L-default/kubernetes/tcp/https {
 }
 chain local-ULMVA6XW-ns1/svc1/tcp/p80 {
 }
}
table ip6 kube-proxy {
 map no-endpoint-services {
  type ipv6_addr . inet_proto . inet_service : verdict
 }
 map service-ips {
  type ipv6_addr . inet_proto . inet_service : verdict
 }
 chain service-X {
 }
}
add element ip kube-proxy service-ips { 10.96.0.1 . tcp . 443 : goto service-2QRHZV4L-default/kubernetes/tcp/https }
add element ip kube-proxy service-ips { 10.96.0.7 . tcp . 80 : goto local-ULMVA6XW-ns1/svc1/tcp/p80 }
add element ip kube-proxy no-endpoint-services { 10.96.0.10 . udp . 53 comment "kube-system/kube-dns:dns" : goto reject-chain }
add element ip6 kube-proxy service-ips { fd00::1 . tcp . 443 : goto service-X }
END
`

func TestServiceVIPsNFTables(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh(kubeProxyNFT)
	if got := inNS(t, h, func() (string, error) { mode, _, err := h.Node().proxyTraces(); return mode, err }); got != facts.ModeNFTables {
		t.Errorf("proxyTraces = %q; want %s", got, facts.ModeNFTables)
	}
	sh("nft add chain ip kube-proxy service-" + services.NFTPort("ns1/cut:p80", "tcp"))
	presumed := service("kube-system/coredns:dns", "10.96.0.3", "udp", 53)
	presumed.Source = SourceKubelet
	checkVIPs(t, h, facts.ModeNFTables, []vipCase{
		{"address", service("a/b:c", "10.96.0.1", "tcp", 443), true, false},
		{"IPv6 address", service("a/b:c", "fd00::1", "tcp", 443), true, false},
		{"IPv4 in IPv6", service("a/b:c", "::ffff:10.96.0.1", "tcp", 443), true, false},
		{"other port", service("default/kubernetes:https", "10.96.0.1", "tcp", 80), false, false},
		{"other protocol", service("default/kubernetes:https", "10.96.0.1", "udp", 443), false, false},
		{"address missing", service("kube-system/kube-dns:dns", "10.96.0.11", "udp", 53), false, false},
		{"no endpoints", service("kube-system/kube-dns:dns", "10.96.0.10", "udp", 53), true, true},
		{"name", service("default/kubernetes:https", "", "tcp", 443), true, false},
		{"name with a local policy", service("ns1/svc1:p80", "", "tcp", 80), true, false},
		{"name of a chain that nothing leads to", service("ns1/cut:p80", "", "tcp", 80), false, false},
		{"name without endpoints", service("kube-system/kube-dns:dns", "", "udp", 53), true, true},
		{"name missing", service("kube-system/kube-dns:dns-tcp", "", "tcp", 53), false, false},
		{"presumed address missing", presumed, false, false},
	})
}

func TestServiceVIPsIPTables(t *testing.T) {
	const rules = `-restore -w <<'END'
*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]
:KUBE-SVL-TCOU7JCQXEZGVUNU - [0:0]
:KUBE-SVC-OTHER - [0:0]
:KUBE-SVC-ERIFXISQEP7F7OF4 - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "default/kubernetes:https cluster IP" -m tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y
-A KUBE-SVC-ERIFXISQEP7F7OF4 -p tcp -j ACCEPT
-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -m comment --comment "kube-system/kube-dns:dns cluster IP" -m udp --dport 53 -j KUBE-SVL-TCOU7JCQXEZGVUNU
-A KUBE-SERVICES -d 10.96.0.3/32 -p udp -m comment --comment "kube-system/coredns:dns cluster IP" -m udp --dport 53 -j KUBE-SVC-OTHER
COMMIT
*filter
:KUBE-SERVICES - [0:0]
-A FORWARD -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.5/32 -p tcp -m comment --comment "ns/empty:http has no endpoints" -m tcp --dport 80 -j REJECT
COMMIT
END
`
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			h, sh := filterNS(t)
			sh("iptables-" + backend + rules)
			if got := inNS(t, h, func() (string, error) { mode, _, err := h.Node().proxyTraces(); return mode, err }); got != facts.ModeIPTables {
				t.Errorf("proxyTraces = %q; want %s", got, facts.ModeIPTables)
			}
			checkVIPs(t, h, facts.ModeIPTables, []vipCase{
				{"name", service("default/kubernetes:https", "10.96.0.1", "tcp", 443), true, false},
				{"name alone", service("default/kubernetes:https", "", "tcp", 443), true, false},
				{"name with a local policy", service("kube-system/kube-dns:dns", "10.96.0.10", "udp", 53), true, false},
				{"address with another name", service("kube-system/kube-dns:other", "10.96.0.3", "udp", 53), true, false},
				{"no endpoints by name", service("ns/empty:http", "", "tcp", 80), true, true},
				{"no endpoints by address", service("ns/else:http", "10.96.0.5", "tcp", 80), true, true},
				{"chain that nothing leads to", service("kube-system/kube-dns:dns-tcp", "10.96.0.10", "tcp", 53), false, false},
				{"missing", service("ns/gone:http", "10.96.0.11", "tcp", 80), false, false},
				{"missing in the other family", service("ns/six:http", "fd00::5", "tcp", 80), false, false},
			})
		})
	}
}

// TestServiceVIPsPresumed leaves out what is only presumed and not there.
func TestServiceVIPsPresumed(t *testing.T) {
	t.Parallel()
	h, _ := filterNS(t)
	api, dns := service(kubernetesService, "", "tcp", 443), service("kube-system/kube-dns:dns", "", "udp", 53)
	api.Source, dns.Source = SourceDefault, SourceDefault
	for _, mode := range []string{"", facts.ModeIPTables, facts.ModeNFTables} {
		got := inNS(t, h, func() ([]facts.ServiceVIP, error) { return h.Node().ServiceVIPs(mode, []facts.ServiceIntent{api, dns}) })
		if len(got) != 1 || got[0].Name != kubernetesService || got[0].Found {
			t.Errorf("ServiceVIPs in mode %q = %+v; want the API server's alone, not found", mode, got)
		}
	}
}

func TestDefaultServices(t *testing.T) {
	const manifest = "spec:\n  containers:\n  - command:\n    - kube-apiserver\n    - --service-cluster-ip-range=10.96.0.0/12,fd00::/108\n"
	for _, tt := range []struct {
		name, manifest, kubelet, api, dns, dnsSource string
	}{
		{name: "nothing", dnsSource: SourceDefault},
		{name: "kubelet", kubelet: "clusterDNS:\n- 10.96.0.10\nclusterDomain: cluster.local\n", dns: "10.96.0.10", dnsSource: SourceKubelet},
		{name: "kubelet, indented", kubelet: "a: b\nclusterDNS: # two\n  - \"fd00::a\"\n  - 10.96.0.10\n", dns: "fd00::a", dnsSource: SourceKubelet},
		{name: "kubelet, one line", kubelet: "clusterDNS: [10.96.0.10, 1.1.1.1]\n", dns: "10.96.0.10", dnsSource: SourceKubelet},
		{name: "kubelet, JSON", kubelet: `{"kind":"KubeletConfiguration","clusterDNS":["10.96.0.10"]}`, dns: "10.96.0.10", dnsSource: SourceKubelet},
		{name: "NodeLocal DNSCache", manifest: manifest, kubelet: "clusterDNS:\n- 169.254.20.10\n", api: "10.96.0.1", dnsSource: SourceDefault},
		{name: "DNS that is no Service", manifest: manifest, kubelet: "clusterDNS:\n- 192.0.2.53\n", api: "10.96.0.1", dnsSource: SourceDefault},
		{name: "manifest", manifest: manifest, api: "10.96.0.1", dns: "10.96.0.10", dnsSource: SourceManifest},
		{name: "both", manifest: manifest, kubelet: "clusterDNS: [10.96.0.3]\n", api: "10.96.0.1", dns: "10.96.0.3", dnsSource: SourceKubelet},
		{name: "tiny range", manifest: "--service-cluster-ip-range=10.96.0.0/29", api: "10.96.0.1", dnsSource: SourceManifest},
		{name: "nonsense", manifest: "--service-cluster-ip-range=10.96", kubelet: "clusterDNS:\n  x: y\n", dnsSource: SourceDefault},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := tree(t, map[string]string{"etc/kubernetes/manifests/kube-apiserver.yaml": tt.manifest, "var/lib/kubelet/config.yaml": tt.kubelet})
			got, err := h.DefaultServices()
			if err != nil {
				t.Fatal(err)
			}
			apiSource := SourceDefault
			if tt.api != "" {
				apiSource = SourceManifest
			}
			want := []facts.ServiceIntent{
				{Name: "default/kubernetes:https", VIP: addrOrNone(tt.api), Port: 443, Protocol: "tcp", Source: apiSource},
				{Name: "kube-system/kube-dns:dns", VIP: addrOrNone(tt.dns), Port: 53, Protocol: "udp", Source: tt.dnsSource},
				{Name: "kube-system/kube-dns:dns-tcp", VIP: addrOrNone(tt.dns), Port: 53, Protocol: "tcp", Source: tt.dnsSource},
			}
			if d := gocmp.Diff(want, got, sameAddress); d != "" {
				t.Errorf("DefaultServices (-want +got):\n%s", d)
			}
		})
	}
}

func addrOrNone(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// tree makes a root of files, and opens it as a node in the test's own namespace. Files without content are not made.
func tree(t testing.TB, files map[string]string) *Host {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if text == "" {
			continue
		}
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := Open(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func FuzzClusterDNS(f *testing.F) {
	f.Add([]byte("clusterDNS:\n- 10.96.0.10\n"), []byte("--service-cluster-ip-range=10.96.0.0/12"))
	f.Add([]byte(`{"clusterDNS":["fd00::a"]}`), []byte("--service-cluster-ip-range=::/128"))
	f.Fuzz(func(t *testing.T, config, manifest []byte) {
		clusterDNS(config)
		if p := serviceRange(manifest); p.IsValid() {
			nth(p, 10)
		}
	})
}

func FuzzSetElements(f *testing.F) {
	elem := appendAttr(nil, unix.NFTA_LIST_ELEM, appendAttr(nil, unix.NFTA_SET_ELEM_USERDATA, []byte("\x00\x02x\x00")))
	f.Add(appendAttr(nfgenmsg(2), unix.NFTA_SET_ELEM_LIST_ELEMENTS, elem))
	f.Fuzz(func(t *testing.T, body []byte) {
		if eachElement(body, func(e []byte) error { return eachAttr(e, func(_ uint16, v []byte) { userComment(v) }) }) != nil {
			return
		}
	})
}
