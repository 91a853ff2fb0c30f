package host

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

func TestParsePairs(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       map[string]uint64
	}{
		{"nothing", "", map[string]uint64{}},
		{
			"snmp", "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: MaxConn InErrs\nTcp: -1 2\n",
			map[string]uint64{"Ip.Forwarding": 1, "Ip.DefaultTTL": 64, "Tcp.InErrs": 2},
		},
		{
			"two groups with names that begin alike", "Udp: InCsumErrors\nUdp: 3\nUdpLite: InCsumErrors\nUdpLite: 4\n",
			map[string]uint64{"Udp.InCsumErrors": 3, "UdpLite.InCsumErrors": 4},
		},
		{"fewer values than names", "Ip: A B C\nIp: 1\n", map[string]uint64{"Ip.A": 1}},
		{"more values than names", "Ip: A\nIp: 1 2\n", map[string]uint64{"Ip.A": 1}},
		{"names without values", "Ip: A\nTcp: B\nTcp: 2\n", map[string]uint64{"Tcp.B": 2}},
		{"cut in a line", "Ip: A B\nIp: 1", map[string]uint64{"Ip.A": 1}},
		{"a line without a group", "Ip: A\nrubbish\nIp: 1\n", map[string]uint64{}},
		{"the largest counter", "Ip: A B\nIp: 18446744073709551615 18446744073709551616\n", map[string]uint64{"Ip.A": 1<<64 - 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := map[string]uint64{}
			parsePairs([]byte(tt.text), &CounterNames{}, got)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("parsePairs(%q) (-want +got):\n%s", tt.text, d)
			}
		})
	}
}

func TestParseSNMP6(t *testing.T) {
	got := map[string]uint64{}
	parseSNMP6([]byte("Ip6InReceives                   \t5\nUdp6InCsumErrors                \t3\nUdpLite6InErrors 2\nIcmp6OutType133 9\nrubbish 1\n6\nIp6X\n"),
		&CounterNames{}, got)
	want := map[string]uint64{"Ip6.InReceives": 5, "Udp6.InCsumErrors": 3, "UdpLite6.InErrors": 2, "Icmp6.OutType133": 9}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("parseSNMP6() (-want +got):\n%s", d)
	}
}

func TestCounterNamesAreSharedAndBounded(t *testing.T) {
	var names CounterNames
	a, b := names.of([]byte("Ip: A"), groupNames), names.of([]byte("Ip: A"), func(string) []string { t.Error("split again"); return nil })
	if &a[0] != &b[0] {
		t.Error("the names of one line are two lists")
	}
	for i := range 3 * maxNameLines {
		names.of([]byte{'I', byte(i), byte(i >> 8), ':', ' ', 'A'}, groupNames)
	}
	if got := len(names.lines); got > maxNameLines {
		t.Errorf("%d lines are kept; want at most %d", got, maxNameLines)
	}
}

func TestParseSoftnet(t *testing.T) {
	got := parseSoftnet([]byte("0000000a 00000001 00000002 00000000\n00000005 00000010 00000000 00000000\nzz 1 1\n00000001\n"))
	if want := (&facts.Softnet{Processed: 15, Dropped: 17, Squeezed: 2}); !cmp.Equal(want, got) {
		t.Errorf("parseSoftnet() = %+v; want %+v", got, want)
	}
}

func TestParseSockstat(t *testing.T) {
	got := map[string]int64{}
	parseSockstat([]byte("sockets: used 23\nTCP: inuse 5 orphan 0 tw 2 alloc\nFRAG: inuse 0 memory 0\nrubbish\n"), got)
	want := map[string]int64{"sockets.used": 23, "TCP.inuse": 5, "TCP.orphan": 0, "TCP.tw": 2, "FRAG.inuse": 0, "FRAG.memory": 0}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("parseSockstat() (-want +got):\n%s", d)
	}
}

const (
	udpHead  = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
	udpVXLAN = " 1162: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 0 2 0000000000000000 12\n"
	udpDNS   = "   67: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 1 2 0000000000000000 3\n"
	udpSix   = "   67: 000080FE00000000FFAA00FC010000FE:0222 00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 7 2 0 1\n"
)

func TestParseUDP(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       map[netip.AddrPort]uint64
	}{
		{"no socket", udpHead, map[netip.AddrPort]uint64{}},
		{
			"a tunnel's and a resolver's", udpHead + udpVXLAN + udpDNS,
			map[netip.AddrPort]uint64{netip.MustParseAddrPort("0.0.0.0:8472"): 12, netip.MustParseAddrPort("127.0.0.1:53"): 3},
		},
		{"two that share an address", udpDNS + udpDNS, map[netip.AddrPort]uint64{netip.MustParseAddrPort("127.0.0.1:53"): 6}},
		{"IPv6", udpSix, map[netip.AddrPort]uint64{netip.MustParseAddrPort("[fe80::fc00:aaff:fe00:1]:546"): 1}},
		{"cut in a line", udpDNS[:60], map[netip.AddrPort]uint64{}},
		{"an address of no family", "1: 0100:0035 0:0 07 0:0 0:0 0 0 0 1 2 0 3 4\n", map[netip.AddrPort]uint64{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := map[netip.AddrPort]uint64{}
			parseUDP([]byte(tt.text), got)
			if d := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
				t.Errorf("parseUDP() (-want +got):\n%s", d)
			}
		})
	}
}

func TestParseTableFill(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       *facts.TableFill
	}{
		{"two processors", "entries  allocs table_fulls\n00000400 00000005 00000002\n00000400 00000001 00000003\n", &facts.TableFill{Entries: 1024, TableFulls: 5}},
		{"without overflows", "entries allocs\n00000010 00000005\n", &facts.TableFill{Entries: 16}},
		{"names only", "entries allocs\n", nil},
		{"without entries", "allocs\n00000005\n", nil},
		{"nothing", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseTableFill(tt.text)
			if ok != (tt.want != nil) || ok && !cmp.Equal(tt.want, got) {
				t.Errorf("parseTableFill() = %+v, %v; want %+v", got, ok, tt.want)
			}
		})
	}
}

func TestParseNode(t *testing.T) {
	if got, want := parsePrettyName("NAME=x\n PRETTY_NAME=\"Debian GNU/Linux 12\"\n"), "Debian GNU/Linux 12"; got != want {
		t.Errorf("parsePrettyName() = %q; want %q", got, want)
	}
	for text, want := range map[string]int{"0-3,6\n": 5, "0\n": 1, "": 0, "3-1": 0, "0-x": 0, "0,,1": 0} {
		if got := parseCPUs(text); got != want {
			t.Errorf("parseCPUs(%q) = %d; want %d", text, got, want)
		}
	}
	for text, want := range map[string]uint64{
		"MemTotal:       24682416 kB\nMemFree: 1 kB\n": 24682416 << 10, "": 0, "MemTotal: x kB": 0, "MemTotal: 18446744073709551615 kB": 0,
	} {
		if got := parseMemTotal(text); got != want {
			t.Errorf("parseMemTotal(%q) = %d; want %d", text, got, want)
		}
	}
}

func FuzzProc(f *testing.F) {
	for _, text := range []string{"Ip: A B\nIp: 1 2\n", "Udp6InCsumErrors 3\n", "0a 01 02\n", "TCP: inuse 5\n", udpHead + udpVXLAN, udpSix, "entries table_fulls\n1 2\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		counters, sockets := map[string]uint64{}, map[netip.AddrPort]uint64{}
		parsePairs(b, &CounterNames{}, counters)
		parseSNMP6(b, &CounterNames{}, counters)
		parseUDP(b, sockets)
		parseSockstat(b, map[string]int64{})
		parseSoftnet(b)
		parseTableFill(string(b))
		parsePrettyName(string(b))
		parseMemTotal(string(b))
		parseCPUs(string(b))
		if len(counters) > len(b) || len(sockets) > len(b) {
			t.Errorf("%d counters and %d sockets in %d bytes", len(counters), len(sockets), len(b))
		}
	})
}

// A tree made by hand stands for a node: its files are read, and what it lacks is absent.
func TestTreeMadeByHand(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"etc/hostname": "old-node\n", "usr/lib/os-release": "PRETTY_NAME='CentOS Linux 7'\n", "proc/meminfo": "MemTotal: 1024 kB\n",
		"proc/sys/kernel/osrelease": "3.10.0-1160.el7.x86_64\n", "proc/sys/kernel/random/boot_id": "b\n",
		"proc/net/netstat": "TcpExt: PAWSPassive ListenDrops\nTcpExt: 3565 3565\n", "proc/net/snmp": "Udp: InCsumErrors\nUdp: 2\n",
		"proc/net/udp": udpHead + udpDNS, "proc/net/udp6": udpSix, "proc/net/softnet_stat": "00000001 00000002 00000003\n",
		"proc/net/stat/arp_cache":              "entries table_fulls\n00000400 00000001\n",
		"proc/sys/net/ipv4/tcp_tw_recycle":     "1\n",
		"proc/sys/net/ipv4/conf/all/rp_filter": "1\n",
		"proc/7/comm":                          "kubelet\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h, err := Open(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for what, pair := range map[string][2]string{
		"Name":          {h.Name(), "old-node"},
		"KernelRelease": {h.KernelRelease(), "3.10.0-1160.el7.x86_64"},
		"Distribution":  {h.Distribution(), "CentOS Linux 7"},
		"BootID":        {h.BootID(), "b"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s() = %q; want %q", what, pair[0], pair[1])
		}
	}
	if h.Memory() != 1<<20 || !h.Kubelet() {
		t.Errorf("Memory() = %d, Kubelet() = %v; want %d, true", h.Memory(), h.Kubelet(), 1<<20)
	}
	if found, denied := h.Namespaces(); len(found) != 0 || denied != 0 {
		t.Errorf("Namespaces() = %v, %d; want none: the tree has none", found, denied)
	}
	n := h.Node()
	if err := n.Do(func() error { return readTree(t, n) }); err != nil {
		t.Fatal(err)
	}
}

// TestCounterNames reads those counters alone that are wanted.
func TestCounterNames(t *testing.T) {
	names, got := NewCounterNames([]string{"Udp.InCsumErrors", "Udp6.InCsumErrors", "Icmp.Else"}), map[string]uint64{}
	parsePairs([]byte("Udp: InDatagrams InCsumErrors\nUdp: 7 8\nIcmp: InMsgs\nIcmp: 9\n"), names, got)
	parseSNMP6([]byte("Udp6InCsumErrors 5\nUdp6InDatagrams 6\n"), names, got)
	if d := cmp.Diff(map[string]uint64{"Udp.InCsumErrors": 8, "Udp6.InCsumErrors": 5}, got); d != "" {
		t.Errorf("counters (-want +got):\n%s", d)
	}
}

func readTree(t *testing.T, n *NS) error {
	counters, err := n.Counters(nil, nil)
	if err != nil {
		return err
	}
	wantCounters := map[string]uint64{"TcpExt.PAWSPassive": 3565, "TcpExt.ListenDrops": 3565, "Udp.InCsumErrors": 2}
	if d := cmp.Diff(wantCounters, counters.Total); d != "" {
		t.Errorf("Counters() (-want +got):\n%s", d)
	}
	sysctls, err := n.Sysctls([]string{"net/ipv4/tcp_tw_recycle", "net/ipv4/tcp_timestamps", "net/ipv4/conf/all/rp_filter", "net/nothing/here"})
	if err != nil {
		return err
	}
	wantSysctls := map[string]string{"net/ipv4/tcp_tw_recycle": "1", "net/ipv4/conf/all/rp_filter": "1"}
	if d := cmp.Diff(wantSysctls, sysctls); d != "" {
		t.Errorf("Sysctls() (-want +got):\n%s", d)
	}
	devices, err := n.SysctlDevices("net/ipv4/conf")
	if d := cmp.Diff([]string{"all"}, devices); err != nil || d != "" {
		t.Errorf("SysctlDevices() error %v (-want +got):\n%s", err, d)
	}
	if none, err := n.SysctlDevices("net/ipv6/conf"); err != nil || none != nil {
		t.Errorf("SysctlDevices() = %v, %v; want nothing: the tree has no IPv6", none, err)
	}
	udp, err := n.udpSockets(sockstat{})
	if err != nil || len(udp) != 2 {
		t.Errorf("udpSockets() = %v, %v; want 2 sockets", udp, err)
	}
	fill, err := n.NeighbourTable()
	want := &facts.NeighbourTable{ARP: &facts.TableFill{Entries: 1024, TableFulls: 1}}
	if d := cmp.Diff(want, fill); err != nil || d != "" {
		t.Errorf("NeighbourTable() error %v (-want +got):\n%s", err, d)
	}
	soft, err := n.Softnet()
	if err != nil || soft.Dropped != 2 {
		t.Errorf("Softnet() = %+v, %v; want 2 dropped", soft, err)
	}
	return nil
}

func TestFilesAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(path, make([]byte, maxFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readSmall(path); err == nil {
		t.Error("readSmall() of a file over the bound succeeded")
	}
	if err := os.Truncate(path, maxFile); err != nil {
		t.Fatal(err)
	}
	if b, err := readSmall(path); err != nil || len(b) != maxFile {
		t.Errorf("readSmall() = %d bytes, %v; want %d", len(b), err, maxFile)
	}
}
