package nodereport

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func port(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// node is one of a flannel cluster: an uplink, a tunnel, a bridge with a pod, and what is none of the CNI's.
func node() *facts.Snapshot {
	one, two := 1, 2
	return &facts.Snapshot{
		Kinds: slices.Concat(facts.NamespaceKinds(), facts.NodeKinds()),
		Intent: facts.Intent{
			NodePodCIDR: []netip.Prefix{prefix("10.244.1.0/24")},
			Cluster:     &facts.Cluster{Node: &facts.ClusterNode{Addresses: []netip.Addr{addr("192.0.2.11")}}},
		},
		Proxy: &facts.Proxy{Mode: facts.ModeNFTables},
		CNI:   &facts.CNI{Files: []facts.CNIFile{{Error: "x"}, {Network: "cbr0", Plugins: []facts.CNIPlugin{{Type: "flannel", Bridge: "cni0"}}}}},
		Host: facts.Namespace{
			Links: []facts.Link{
				{Index: 1, Name: "lo", Up: true, Loopback: true, MTU: 65536},
				{Index: 2, Name: "eth0", Up: true, MTU: 1500, MAC: "02:00:00:00:00:0b"},
				{Index: 3, Name: "flannel.1", Kind: "vxlan", Up: true, MTU: 1450, MAC: "02:00:00:00:00:0c", Tunnel: &facts.Tunnel{ID: 1, Port: 8472, Local: addr("192.0.2.11")},
					Features: map[string]facts.Feature{facts.FeatureTxChecksum: {On: true}}},
				{Index: 4, Name: "cni0", Kind: "bridge", Up: true, MTU: 1450},
				{Index: 5, Name: "veth1", Kind: "veth", Up: true, MTU: 1450, Master: 4, Parent: 2, PeerNSID: &one},
				{Index: 6, Name: "docker0", Kind: "bridge", Up: true, MTU: 1500},
				{Index: 7, Name: "veth2", Kind: "veth", Up: true, MTU: 1500, Master: 6, Parent: 2, PeerNSID: &two},
				{Index: 8, Name: "kube-ipvs0", Kind: "dummy", Up: true, MTU: 1500},
			},
			Addresses: []facts.Address{
				{Link: 1, Prefix: prefix("127.0.0.1/8"), Scope: "host"}, {Link: 2, Prefix: prefix("192.0.2.11/24"), Scope: "global"},
				{Link: 2, Prefix: prefix("2001:db8::b/64"), Scope: "global"}, {Link: 2, Prefix: prefix("2001:db8::1234/64"), Scope: "global", Secondary: true},
				{Link: 2, Prefix: prefix("fe80::b/64"), Scope: "link"}, {Link: 4, Prefix: prefix("10.244.1.1/24"), Scope: "global"},
				{Link: 6, Prefix: prefix("172.17.0.1/16"), Scope: "global"}, {Link: 8, Prefix: prefix("192.0.2.11/32"), Scope: "global"},
			},
			Routes: []facts.Route{
				{Dst: prefix("0.0.0.0/0"), Gateway: addr("192.0.2.1"), Link: 2, Type: "unicast", Table: facts.TableMain},
				{Dst: prefix("192.0.2.0/24"), Link: 2, Type: "unicast", Table: facts.TableMain},
			},
			FDB: []facts.FDBEntry{{Link: 3, MAC: "02:00:00:00:00:0d", Dst: addr("192.0.2.12")}},
		},
		Pods: []facts.Namespace{
			{Inode: 10, NSID: &one, Links: []facts.Link{{Index: 2, Name: "eth0", Kind: "veth", Up: true, MTU: 1450}},
				Addresses: []facts.Address{{Link: 2, Prefix: prefix("10.244.1.9/24"), Scope: "global"}, {Link: 2, Prefix: prefix("10.9.9.9/24"), Scope: "global"}}},
			{Inode: 11, NSID: &two, Links: []facts.Link{{Index: 2, Name: "eth0", Kind: "veth", Up: true, MTU: 1500}},
				Addresses: []facts.Address{{Link: 2, Prefix: prefix("172.17.0.2/16"), Scope: "global"}}},
		},
	}
}

func document(findings ...status.Finding) *status.Document {
	return &status.Document{
		State: status.Faulty, Ready: true, Mode: "audit", Started: noon.Add(-time.Hour), At: noon, Versions: status.Versions{Netmend: "v1", Kernel: "6.18.0"}, Findings: findings,
		Fixes: []status.Fix{{ID: 3, State: "verified"}, {ID: 2, State: "contested"}, {State: "refused"}},
	}
}

func finding(name, where, message string, s check.Severity) status.Finding {
	return status.Finding{Check: name, Where: where, Message: message, Severity: s, FirstSeen: noon.Add(1500 * time.Millisecond), Settled: true}
}

func TestFrom(t *testing.T) {
	d := document(
		finding("b", "x", "info", check.Info), finding("b", "flannel.1", "warn", check.Warning), finding("a", "eth0\x1b[31m", "bad\nthing", check.Critical),
		status.Finding{Check: "ignored", Severity: check.Critical, Ignored: true},
	)
	var m Memory
	m.See(d, node())
	got := From(d, node(), &m)
	on := true
	want := Status{
		State: status.Faulty, Since: noon, Mode: "audit", Critical: 1, Warning: 1, Info: 1, Mended: 1, Versions: Versions{"v1", "6.18.0"},
		Findings: []Finding{
			{Check: "a", Severity: check.Critical, Object: "eth0?[31m", Message: "bad?thing", Since: noon.Add(time.Second)},
			{Check: "b", Severity: check.Warning, Object: "flannel.1", Message: "warn", Since: noon.Add(time.Second)},
			{Check: "b", Severity: check.Info, Object: "x", Message: "info", Since: noon.Add(time.Second)},
		},
		Network: Network{
			CNI: "cbr0", ProxyMode: "nftables", PodCIDRs: []netip.Prefix{prefix("10.244.1.0/24")}, PodAddresses: []netip.Addr{addr("10.9.9.9")}, PodMTU: []int{1450},
			Uplinks: []Uplink{{Name: "eth0", MTU: 1500, MAC: "02:00:00:00:00:0b", Addresses: []netip.Prefix{prefix("192.0.2.11/24"), prefix("2001:db8::b/64")}}},
			Tunnels: []Tunnel{{Name: "flannel.1", Kind: "vxlan", ID: 1, Port: 8472, Local: addr("192.0.2.11"), MAC: "02:00:00:00:00:0c", MTU: 1450, Uplink: "eth0", TxChecksum: &on}},
		},
	}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Errorf("From (-want +got):\n%s", d)
	}
}

// TestSteady looks at the same node at other times, after other windows, and after a new start.
func TestSteady(t *testing.T) {
	var m Memory
	seen := node()
	seen.Window = &facts.Window{Seconds: 60}
	seen.Host.Counters = &facts.Counters{Delta: map[string]uint64{"Udp.InCsumErrors": 5}}
	five := uint64(5)
	seen.Host.UDPSockets = []facts.UDPSocket{{Local: port("0.0.0.0:8472"), Drops: 9, DeltaDrops: &five}}
	seen.Host.TunnelNAT = []facts.NATFlow{
		{Src: port("192.0.2.11:4000"), Dst: port("192.0.2.13:8472"), ReplyDst: port("192.0.2.11:61000")},
		{Src: port("192.0.2.11:4000"), Dst: port("192.0.2.12:8472"), ReplyDst: port("192.0.2.11:61000")},
		{Src: port("192.0.2.11:4001"), Dst: port("192.0.2.14:8472"), ReplyDst: port("192.0.2.11:4001")}, // nothing is changed
		{Src: port("192.0.2.99:4001"), Dst: port("192.0.2.15:8472"), ReplyDst: port("192.0.2.11:4001")}, // forwarded for another
	}
	d := document(finding("a", "eth0", "+5 in 60s", check.Critical))
	m.See(d, seen)
	first := From(d, seen, &m)
	tunnel := first.Network.Tunnels[0]
	if !tunnel.BadChecksums || tunnel.BadChecksumsLikely || !slices.Equal(tunnel.Translated, []netip.Addr{addr("192.0.2.12"), addr("192.0.2.13")}) {
		t.Errorf("tunnel = %+v; want bad checksums, and packets to .12 and .13 translated", tunnel)
	}
	at := func(m *Memory, after time.Duration, message string) Status {
		d := document(finding("a", "eth0", message, check.Critical))
		d.At = noon.Add(after)
		m.See(d, node())
		return From(d, node(), m)
	}
	later := at(&m, 29*time.Minute, "+5 in 60s")
	if d := Compare(&first, &later); d != Same {
		t.Errorf("the same node after 29 minutes differs by %d; want nothing", d)
	}
	later = at(&m, 29*time.Minute, "+7 in 61.5s")
	if d := Compare(&first, &later); d != Numbers {
		t.Errorf("another window differs by %d; want numbers", d)
	}
	var restarted Memory
	again := document(finding("a", "eth0", "+5 in 60s", check.Critical))
	again.At, again.Findings[0].FirstSeen = noon.Add(20*time.Minute), noon.Add(20*time.Minute)
	restarted.See(again, node()) // it begins before the API server was asked
	restarted.Recall(&first, noon.Add(20*time.Minute))
	same := From(again, node(), &restarted)
	if d := Compare(&first, &same); d != Same {
		t.Errorf("after a new start it differs by %d; want nothing: %+v", d, same)
	}
	over := at(&m, 31*time.Minute, "+5 in 60s")
	if tunnel := over.Network.Tunnels[0]; tunnel.BadChecksums || tunnel.Translated != nil {
		t.Errorf("after 31 minutes the tunnel is %+v; want nothing of it", tunnel)
	}
	other := node()
	other.Pods[0].Addresses[1].Prefix = prefix("10.9.9.8/24")
	moved := From(again, other, &restarted)
	if d := Compare(&same, &moved); d != Addresses {
		t.Errorf("another pod's address differs by %d; want addresses", d)
	}
	mtu := node()
	mtu.Host.Links[1].MTU = 9000
	if moved = From(again, mtu, &restarted); Compare(&same, &moved) != Other {
		t.Errorf("another MTU is not told")
	}
}

// TestHidden has bad checksums whose port connection tracking hides.
func TestHidden(t *testing.T) {
	s := node()
	s.Window = &facts.Window{Seconds: 60}
	s.Host.Counters = &facts.Counters{Delta: map[string]uint64{"Udp.InCsumErrors": 5}}
	s.Host.Conntrack = &facts.Conntrack{Count: 9, Delta: map[string]uint64{"invalid": 5}}
	var m Memory
	m.See(document(), s)
	if tunnel := From(document(), s, &m).Network.Tunnels[0]; tunnel.BadChecksums || !tunnel.BadChecksumsLikely {
		t.Errorf("tunnel = %+v; want that bad checksums were likely for it", tunnel)
	}
}

// TestMonsters holds the bound whatever the node has, and counts what is left out.
func TestMonsters(t *testing.T) {
	long := strings.Repeat("<&>\x00é€", 2000)
	for _, tt := range []struct {
		name                         string
		findings, pods, links, flows int
		text                         string
	}{
		{"findings", 3000, 0, 0, 0, long}, {"short findings", 3000, 500, 0, 0, "x"}, {"pods", 3, 5000, 0, 0, "x"}, {"links", 50, 5, 400, 0, long}, {"everything", 3000, 3000, 100, 2000, long},
	} {
		s := node()
		s.CNI.Files[1].Network, s.Proxy.Mode = tt.text, tt.text
		for i := range 200 {
			s.Intent.NodePodCIDR = append(s.Intent.NodePodCIDR, netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 14: byte(i), 15: 1}), 128))
		}
		for i := range tt.pods {
			a := netip.AddrFrom16([16]byte{0x20, 1, 12: 1, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
			s.Pods[0].Addresses = append(s.Pods[0].Addresses, facts.Address{Link: 2, Prefix: netip.PrefixFrom(a, 64), Scope: "global"})
		}
		for i := range tt.links {
			index := 100 + i
			s.Host.Links = append(s.Host.Links, facts.Link{Index: index, Name: fmt.Sprint(i, tt.text), Kind: "vxlan", Up: true, MTU: 1 << 30, MAC: tt.text, Tunnel: &facts.Tunnel{ID: 1 << 31, Port: 1, Local: addr("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")}})
		}
		for i := range tt.links {
			index := 10000 + i
			s.Host.Links = append(s.Host.Links, facts.Link{Index: index, Name: fmt.Sprint(i, tt.text), Up: true, MTU: 1 << 30, MAC: tt.text})
			s.Host.Routes = append(s.Host.Routes, facts.Route{Dst: prefix("::/0"), Link: index, Type: "unicast", Table: facts.TableMain})
			for j := range 20 {
				s.Host.Addresses = append(s.Host.Addresses, facts.Address{Link: index, Prefix: netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 15: byte(j)}), 128), Scope: "global"})
			}
		}
		for i := range tt.flows {
			a := netip.AddrFrom16([16]byte{0x20, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, byte(i >> 8), byte(i)})
			for _, p := range []uint16{1, 8472} {
				s.Host.TunnelNAT = append(s.Host.TunnelNAT, facts.NATFlow{Src: port("192.0.2.11:1"), Dst: netip.AddrPortFrom(a, p), ReplyDst: port("192.0.2.11:2")})
			}
		}
		d := document()
		for i := range tt.findings {
			d.Findings = append(d.Findings, finding(fmt.Sprintf("check-%04d", i), fmt.Sprint(i, tt.text), tt.text, check.Severity(i%3)))
			d.Findings[i].Plan = tt.text
		}
		var m Memory
		m.See(d, s)
		r := Report{APIVersion: APIVersion, Kind: Kind, Status: From(d, s, &m)}
		r.Metadata = Metadata{
			Name: strings.Repeat("n", 253), UID: strings.Repeat("u", 36), ResourceVersion: "18446744073709551615", Created: noon,
			Owners: []Owner{{"v1", "Node", strings.Repeat("n", 253), strings.Repeat("u", 36)}},
		}
		text, err := json.Marshal(&r)
		if err != nil || len(text) > MaxBytes {
			t.Errorf("%s: %d bytes, %v; want at most %d", tt.name, len(text), err, MaxBytes)
		}
		if n := len(r.Status.Findings) + r.Status.Omitted; n != tt.findings {
			t.Errorf("%s: %d findings are there or counted; want %d", tt.name, n, tt.findings)
		}
		if tt.findings > 0 && (len(r.Status.Findings) == 0 || r.Status.Findings[0].Severity != check.Critical && tt.findings > 2) {
			t.Errorf("%s: the worst finding is not told: %+v", tt.name, r.Status.Findings)
		}
		if n := len(r.Status.Network.PodAddresses) + r.Status.Network.PodsOmitted; n != tt.pods+1 {
			t.Errorf("%s: %d addresses of pods are there or counted; want %d", tt.name, n, tt.pods+1)
		}
		if n := len(r.Status.Network.Uplinks) + len(r.Status.Network.Tunnels) + r.Status.Network.LinksOmitted; n != 2*tt.links+2 {
			t.Errorf("%s: %d uplinks and tunnels are there or counted; want %d", tt.name, n, 2*tt.links+2)
		}
		again := From(d, s, &m)
		if Compare(&r.Status, &again) != Same {
			t.Errorf("%s: the same gives another report", tt.name)
		}
		t.Logf("%s: %d bytes, %d findings, %d pods, %d uplinks, %d tunnels", tt.name, len(text), len(r.Status.Findings), len(r.Status.Network.PodAddresses), len(r.Status.Network.Uplinks), len(r.Status.Network.Tunnels))
	}
}

// TestNothing is a daemon that has read nothing yet.
func TestNothing(t *testing.T) {
	d := &status.Document{State: status.Starting, Started: noon, At: noon.Add(time.Hour)}
	var m Memory
	m.See(d, nil)
	if got, want := From(d, nil, &m), (Status{State: status.Starting, Since: noon}); Compare(&got, &want) != Same {
		t.Errorf("From nothing = %+v; want %+v", got, want)
	}
}

// TestWords tells what is counted from what is named.
func TestWords(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"+12 in 60s", "+7 in 61.5s", true}, {"(5 of 9), 80% full.", "(6 of 10), 85% full.", true}, {"after 1m30s: 3", "after 2h0m: 4", true}, {"1 KiB", "2 KiB", true}, {"12MiB", "13MiB", true},
		{"eth0 is wrong", "eth1 is wrong", false}, {"10.0.0.1 twice", "10.0.0.2 twice", false}, {"10.0.0.0/24", "10.0.0.0/25", false}, {"fd00::1", "fd00::2", false}, {"2001:db8::1", "2001:db8::2", false},
		{"02:00:00:00:00:01", "02:00:00:00:00:02", false}, {"10.0.0.1:80", "10.0.0.1:81", false}, {"v1.2", "v1.3", false}, {"flannel.1", "flannel.2", false}, {"a 1", "b 1", false},
	} {
		if got := Words(tt.a) == Words(tt.b); got != tt.same {
			t.Errorf("%q and %q are the same: %t; want %t", tt.a, tt.b, got, tt.same)
		}
	}
}
