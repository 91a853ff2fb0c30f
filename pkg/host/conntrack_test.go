package host

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

const conntrackStats = `entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart
0000001b  00000000 00000002 00000000 00000003 00000000 00000000 00000001 00000000 00000010 000000ff 00000000 00000000  00000000 00000000 00000000 00000000
0000001b  00000000 00000002 00000000 00000001 00000000 00000000 00000001 00000000 00000001 00000001 00000000 00000000  00000000 00000000 00000000 00000004
`

func TestConntrackStats(t *testing.T) {
	got, err := parseConntrackStats(conntrackStats)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint64{"invalid": 4, "insert_failed": 17, "drop": 256, "early_drop": 0, "search_restart": 4} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %d, %v; want %d", name, v, ok, want)
		}
	}
	if _, ok := got["entries"]; ok {
		t.Error("entries is among the sums; it is the whole table's count in each line")
	}
	for _, tt := range []struct{ name, text string }{
		{"empty", ""}, {"names alone", "entries drop\n"}, {"too few", "entries drop\n0\n"}, {"no number", "entries drop\n0 x\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := parseConntrackStats(tt.text); err == nil {
				t.Errorf("parseConntrackStats = %v; want an error", got)
			}
		})
	}
}

func TestConntrackTree(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("proc/uptime", "1 1\n")
	h, err := Open(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	n := h.Node()
	if _, err := n.Conntrack(); !errors.Is(err, ErrAbsent) {
		t.Errorf("Conntrack of a kernel without = %v; want ErrAbsent", err)
	}
	if _, err := n.TunnelNAT([]uint16{1}); !errors.Is(err, ErrAbsent) {
		t.Errorf("TunnelNAT of a kernel without = %v; want ErrAbsent", err)
	}
	write("proc/sys/net/netfilter/nf_conntrack_count", "245760\n")
	write("proc/sys/net/netfilter/nf_conntrack_max", "262144\n")
	got, err := n.Conntrack()
	if err != nil || got.Count != 245760 || got.Max != 262144 || got.Stats != nil {
		t.Errorf("Conntrack = %+v, %v; want 245760 of 262144 without statistics", got, err)
	}
	write("proc/net/stat/nf_conntrack", conntrackStats)
	if got, err = n.Conntrack(); err != nil || got.Stats["drop"] != 256 {
		t.Errorf("Conntrack = %+v, %v; want 256 drops", got, err)
	}
	write("proc/sys/net/netfilter/nf_conntrack_max", "many\n")
	if got, err = n.Conntrack(); err == nil {
		t.Errorf("Conntrack with max \"many\" = %+v; want an error", got)
	}
}

func TestTunnelNAT(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh(`
flow() { conntrack -I --timeout 300 "$@" >/dev/null; }
flow -p udp -s 192.0.2.1 -d 192.0.2.2 --sport 40000 --dport 8472 --src-nat 198.51.100.1
flow -p udp -s 192.0.2.1 -d 192.0.2.3 --sport 40000 --dport 8472
flow -p udp -s 192.0.2.1 -d 192.0.2.2 --sport 40000 --dport 53 --src-nat 198.51.100.1
flow -p tcp -s 192.0.2.1 -d 192.0.2.2 --sport 40000 --dport 8472 --src-nat 198.51.100.1 --state SYN_SENT
flow -p udp -s 192.0.2.1 -d 192.0.2.4 --sport 40000 --dport 8472 --dst-nat 198.51.100.1
flow -p udp -s 2001:db8::1 -d 2001:db8::2 --sport 40000 --dport 4789 --src-nat 2001:db8::9
`)
	got := inNS(t, h, func() ([]facts.NATFlow, error) { return h.Node().TunnelNAT([]uint16{8472, 4789}) })
	slices.SortFunc(got, func(a, b facts.NATFlow) int { return cmp.Compare(a.Src.String(), b.Src.String()) })
	want := []facts.NATFlow{
		{Src: netip.MustParseAddrPort("192.0.2.1:40000"), Dst: netip.MustParseAddrPort("192.0.2.2:8472"), ReplyDst: netip.MustParseAddrPort("198.51.100.1:40000")},
		{
			Src: netip.MustParseAddrPort("[2001:db8::1]:40000"), Dst: netip.MustParseAddrPort("[2001:db8::2]:4789"),
			ReplyDst: netip.MustParseAddrPort("[2001:db8::9]:40000"),
		},
	}
	if d := gocmp.Diff(want, got, gocmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Errorf("TunnelNAT (-want +got):\n%s", d)
	}
	// The kernel itself leaves out what is not translated, not UDP, or of the other family.
	seen := inNS(t, h, func() (int, error) {
		c, err := openNetlink(unix.NETLINK_NETFILTER, new(buffers))
		if err != nil {
			return 0, err
		}
		defer c.close()
		seen := 0
		err = c.dump(unix.NFNL_SUBSYS_CTNETLINK<<8|ctGet, ctFilter(unix.AF_INET), func(nlMsg) error { seen++; return nil })
		return seen, err
	})
	if seen != 2 {
		t.Errorf("the kernel gave %d entries through the filter; want the 2 translated UDP flows of IPv4", seen)
	}
}

func TestTunnelNATBound(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh(fmt.Sprintf(`for i in $(seq %d); do
conntrack -I --timeout 300 -p udp -s 192.0.2.1 -d 192.0.2.2 --sport $((40000+i)) --dport 8472 --src-nat 198.51.100.1 >/dev/null
done`, maxNATFlows+6))
	got := inNS(t, h, func() ([]facts.NATFlow, error) { return h.Node().TunnelNAT([]uint16{8472}) })
	if len(got) != maxNATFlows {
		t.Errorf("%d flows; want %d", len(got), maxNATFlows)
	}
}

// natFlow builds one entry as ctnetlink sends it.
func natFlow(status uint32, proto uint8, replyDst [4]byte) []byte {
	tuple := func(typ uint16, src, dst [4]byte, sport, dport uint16) []byte {
		ip := appendAttr(appendAttr(nil, 1, src[:]), 2, dst[:])
		p := appendAttr(nil, ctaProtoNum, []byte{proto})
		p = appendAttr(p, ctaProtoSrcPort, binary.BigEndian.AppendUint16(nil, sport))
		p = appendAttr(p, ctaProtoDstPort, binary.BigEndian.AppendUint16(nil, dport))
		return appendAttr(nil, typ, appendAttr(appendAttr(nil, ctaTupleIP, ip), ctaTupleProto, p))
	}
	b := append(nfgenmsg(unix.AF_INET), tuple(ctaTupleOrig, [4]byte{192, 0, 2, 1}, [4]byte{192, 0, 2, 2}, 40000, 8472)...)
	b = append(b, tuple(ctaTupleReply, [4]byte{192, 0, 2, 2}, replyDst, 8472, 40000)...)
	return appendAttr(b, ctaStatus, binary.BigEndian.AppendUint32(nil, status))
}

func TestParseNATFlow(t *testing.T) {
	changed, same := [4]byte{198, 51, 100, 1}, [4]byte{192, 0, 2, 1}
	for _, tt := range []struct {
		name string
		body []byte
		want bool
	}{
		{"translated", natFlow(ipsSrcNAT|8, unix.IPPROTO_UDP, changed), true},
		{"not translated", natFlow(8, unix.IPPROTO_UDP, changed), false},
		{"unchanged", natFlow(ipsSrcNAT, unix.IPPROTO_UDP, same), false},
		{"TCP", natFlow(ipsSrcNAT, unix.IPPROTO_TCP, changed), false},
		{"empty", nfgenmsg(unix.AF_INET), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if f, ok, err := parseNATFlow(tt.body, []uint16{8472}); ok != tt.want || err != nil {
				t.Errorf("parseNATFlow = %+v, %v, %v; want %v", f, ok, err, tt.want)
			}
		})
	}
	whole := natFlow(ipsSrcNAT, unix.IPPROTO_UDP, changed)
	for i := range whole {
		if _, ok, err := parseNATFlow(whole[:i], []uint16{8472}); ok && err == nil && i < len(whole)-8 {
			t.Errorf("parseNATFlow of %d bytes found a flow", i)
		}
	}
}

func FuzzNATFlow(f *testing.F) {
	f.Add(natFlow(ipsSrcNAT, unix.IPPROTO_UDP, [4]byte{198, 51, 100, 1}))
	f.Fuzz(func(t *testing.T, body []byte) {
		flow, ok, err := parseNATFlow(body, []uint16{8472})
		if ok && err == nil && (!flow.Src.IsValid() || !flow.ReplyDst.IsValid() || flow.Dst.Port() != 8472) {
			t.Errorf("parseNATFlow = %+v", flow)
		}
	})
}

func FuzzConntrackStats(f *testing.F) {
	f.Add(conntrackStats)
	f.Add("a b\n" + strings.Repeat("0 0\n", 3))
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := parseConntrackStats(text); err == nil && got == nil {
			t.Error("no statistics and no error")
		}
	})
}
