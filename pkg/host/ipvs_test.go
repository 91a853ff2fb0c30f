package host

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

// ipvsText is /proc/net/ip_vs of Linux 6.1: a Service with two endpoints of which one is draining, one without any, one found by a firewall mark, and one
// of IPv6.
const ipvsText = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600001:01BB rr  
  -> 0AF40003:192B      Masq    0      0          0         
  -> 0AF40002:192B      Masq    1      0          0         
TCP  [fd00:0000:0000:0000:0000:0000:0000:0001]:0050 rr 
  -> [fd01:0000:0000:0000:0000:0000:0000:0002]:0051      Masq    1      0          0         
UDP  0A60000A:0035 rr  persistent 2700000 FFFFFFFF
FWM  00000007 rr 
  -> 0AF40004:0000      Masq    1      0          0         
`

var sameAddress = gocmp.Options{
	gocmp.Comparer(func(a, b netip.Addr) bool { return a == b }), gocmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	gocmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func TestParseIPVS(t *testing.T) {
	got, err := parseIPVS(strings.NewReader(ipvsText))
	if err != nil {
		t.Fatal(err)
	}
	want := &facts.IPVS{Present: true, Servers: []facts.IPVSServer{
		{VIP: netip.MustParseAddr("10.96.0.1"), Port: 443, Protocol: "tcp", Dests: []facts.IPVSDest{
			{Addr: netip.MustParseAddrPort("10.244.0.2:6443"), Weight: 1}, {Addr: netip.MustParseAddrPort("10.244.0.3:6443")},
		}},
		{VIP: netip.MustParseAddr("10.96.0.10"), Port: 53, Protocol: "udp"},
		{VIP: netip.MustParseAddr("fd00::1"), Port: 80, Protocol: "tcp", Dests: []facts.IPVSDest{{Addr: netip.MustParseAddrPort("[fd01::2]:81"), Weight: 1}}},
	}}
	if d := gocmp.Diff(want, got, sameAddress); d != "" {
		t.Errorf("parseIPVS (-want +got):\n%s", d)
	}
	for _, bad := range []string{"TCP  0A600001 rr\n", "TCP  0A6001:01BB rr\n", "TCP  [::%1]:0050 rr\n", "TCP  0A600001:01BB rr\n  -> 0AF40002:192B Masq x 0 0\n", "TCP 0A600001:01BB rr\n -> 0AF40002:192B\n"} {
		if v, err := parseIPVS(strings.NewReader(bad)); err == nil {
			t.Errorf("parseIPVS(%q) = %+v; want an error", bad, v)
		}
	}
}

func TestIPVSTree(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc/net"), 0o755); err != nil {
		t.Fatal(err)
	}
	h, err := Open(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if v, err := h.Node().IPVS(); err != nil || v.Present {
		t.Errorf("IPVS of a kernel without = %+v, %v; want it absent", v, err)
	}
	if err := os.WriteFile(filepath.Join(root, "proc/net/ip_vs"), []byte(ipvsText), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := h.Node().IPVS(); err != nil || !v.Present || len(v.Servers) != 3 {
		t.Errorf("IPVS = %+v, %v; want 3 servers", v, err)
	}
}

// TestLookIPVS has kube-ipvs0's address in a namespace, and virtual servers in a tree, since not every kernel has IPVS.
func TestLookIPVS(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh("ip addr add 10.96.0.1/32 dev lo; ip addr add 10.96.0.10/32 dev lo; ip addr add fd00::1/128 dev lo")
	vs, err := parseIPVS(strings.NewReader(ipvsText))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, vip, protocol string
		port                uint16
		found, noEndpoints  bool
	}{
		{"carried", "10.96.0.1", "tcp", 443, true, false},
		{"IPv6", "fd00::1", "tcp", 80, true, false},
		{"no destinations", "10.96.0.10", "udp", 53, true, true},
		{"other port", "10.96.0.1", "tcp", 80, false, false},
		{"other protocol", "10.96.0.1", "udp", 443, false, false},
		{"no route", "10.96.0.2", "tcp", 443, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := facts.ServiceIntent{VIP: netip.MustParseAddr(tt.vip), Port: tt.port, Protocol: tt.protocol}
			got := inNS(t, h, func() (facts.ServiceVIP, error) {
				v := vipReader{ns: h.Node(), vs: vs}
				return v.look(facts.ModeIPVS, s)
			})
			if got.Found != tt.found || got.NoEndpoints != tt.noEndpoints || got.Detail == "" {
				t.Errorf("look = %+v; want found %v, no endpoints %v", got, tt.found, tt.noEndpoints)
			}
		})
	}
	// Only names are known: IPVS knows none.
	_, err = h.Node().ServiceVIPs(facts.ModeIPVS, []facts.ServiceIntent{{Name: kubernetesService, Port: 443, Protocol: "tcp", Source: SourceDefault}})
	if err == nil {
		t.Error("ServiceVIPs without an address in IPVS mode = nil; want an error")
	}
}

func FuzzIPVS(f *testing.F) {
	f.Add(ipvsText)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseIPVS(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, s := range v.Servers {
			if !s.VIP.IsValid() {
				t.Errorf("a server without address in %+v", v)
			}
		}
	})
}
