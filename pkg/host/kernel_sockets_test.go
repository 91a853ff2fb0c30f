package host_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

func sockets(b *bench) (udp []facts.UDPSocket, tcp []facts.Listener) {
	b.t.Helper()
	n := b.host.Node()
	if err := n.Do(func() (err error) { udp, tcp, err = n.Sockets(); return err }); err != nil {
		b.t.Fatal(err)
	}
	return udp, tcp
}

// inside opens something in the namespace that stays there.
func inside[T any](b *bench, fn func() (T, error)) T {
	b.t.Helper()
	return read(b, func(*host.NS) (T, error) { return fn() })
}

func TestSockets(t *testing.T) {
	b := newBench(t, "ip link set lo up")
	if udp, tcp := sockets(b); len(udp)+len(tcp) != 0 {
		t.Fatalf("an empty namespace has the sockets %v, %v", udp, tcp)
	}
	b.sh("ip link add vx type vxlan id 1 dstport 8472 local 127.0.0.1; ip link set vx up")
	if udp, _ := sockets(b); len(udp) != 1 { // the kernel's own socket counts, too
		t.Errorf("UDP sockets with a vxlan device = %v; want its one", udp)
	}
	four := inside(b, func() (net.PacketConn, error) { return net.ListenPacket("udp4", "127.0.0.1:5353") })
	defer four.Close()
	tcp4 := inside(b, func() (net.Listener, error) { return net.Listen("tcp4", "127.0.0.1:8080") })
	defer tcp4.Close()
	tcp6 := inside(b, func() (net.Listener, error) { return net.Listen("tcp6", "[::1]:8081") })
	defer tcp6.Close()
	waiting := inside(b, func() (net.Conn, error) { return net.Dial("tcp4", "127.0.0.1:8080") })
	defer waiting.Close()

	udp, tcp := sockets(b)
	for _, want := range []string{"0.0.0.0:8472", "127.0.0.1:5353"} {
		if !slices.Contains(udp, facts.UDPSocket{Local: netip.MustParseAddrPort(want)}) {
			t.Errorf("no UDP socket %s in %v", want, udp)
		}
	}
	if len(tcp) != 2 {
		t.Fatalf("listeners = %+v; want two, and not the connection", tcp)
	}
	for _, l := range tcp {
		want := facts.Listener{Local: netip.MustParseAddrPort("127.0.0.1:8080"), Queue: 1, Limit: l.Limit}
		if l.Local.Addr().Is6() {
			want = facts.Listener{Local: netip.MustParseAddrPort("[::1]:8081"), Limit: l.Limit}
		}
		if l != want || l.Limit == 0 {
			t.Errorf("listener = %+v; want %+v with a limit", l, want)
		}
	}
}

// A datagram that a full receive buffer drops is counted at its socket.
func TestUDPDrops(t *testing.T) {
	b := newBench(t, "ip link set lo up")
	conn := inside(b, func() (*net.UDPConn, error) {
		return net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5353})
	})
	defer conn.Close()
	if err := conn.SetReadBuffer(1); err != nil {
		t.Fatal(err)
	}
	out := inside(b, func() (net.Conn, error) { return net.Dial("udp4", "127.0.0.1:5353") })
	defer out.Close()
	for range 100 {
		if _, err := out.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	udp, _ := sockets(b)
	i := slices.IndexFunc(udp, func(s facts.UDPSocket) bool { return s.Local == netip.MustParseAddrPort("127.0.0.1:5353") })
	if i < 0 || udp[i].Drops == 0 {
		t.Fatalf("sockets = %v; want drops at 127.0.0.1:5353", udp)
	}
	if got, want := read(b, counters).Total["Udp.RcvbufErrors"], udp[i].Drops; got != want {
		t.Errorf("Udp.RcvbufErrors = %d; want the socket's %d", got, want)
	}
}

func counters(n *host.NS) (*host.Counters, error) { return n.Counters(nil, nil) }

// Counters and sysctls are those of the namespace, and not of the thread's or the program's first.
func TestProcIsOfTheNamespace(t *testing.T) {
	b := newBench(t, "ip link set lo up", "sysctl -qw net.ipv4.tcp_mtu_probing=2 net.core.somaxconn=77",
		"ip link add v.0 type veth peer name v1; sysctl -qw net/ipv4/conf/v.0/rp_filter=2")
	out := inside(b, func() (net.Conn, error) { return net.Dial("udp4", "127.0.0.1:9") })
	defer out.Close()
	if _, err := out.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	first := read(b, counters)
	if got := first.Total["Udp.NoPorts"]; got != 1 {
		t.Errorf("Udp.NoPorts = %d; want the 1 of the namespace", got)
	}
	again := func(n *host.NS) (*host.Counters, error) { return n.Counters(nil, first) }
	if read(b, again) != first {
		t.Error("nothing has been counted, and the counters are not those of before")
	}
	if _, err := out.Write([]byte("x")); err == nil { // the refusal of the first is told now
		t.Error("nobody listens, and nothing was refused")
	}
	if _, err := out.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if later := read(b, again); later == first || later.Total["Udp.NoPorts"] != 2 {
		t.Errorf("Udp.NoPorts = %d after one more; want 2", later.Total["Udp.NoPorts"])
	}
	for _, name := range []string{"TcpExt.ListenDrops", "Udp.InCsumErrors", "Udp6.InCsumErrors", "Ip6.InReceives", "Ip.FragFails"} {
		if _, ok := first.Total[name]; !ok {
			t.Errorf("no counter %s", name)
		}
	}
	got := read(b, func(n *host.NS) (map[string]string, error) {
		return n.Sysctls([]string{"net/ipv4/tcp_mtu_probing", "net/core/somaxconn", "net/ipv4/conf/v.0/rp_filter", "net/ipv4/tcp_tw_recycle"})
	})
	want := map[string]string{"net/ipv4/tcp_mtu_probing": "2", "net/core/somaxconn": "77", "net/ipv4/conf/v.0/rp_filter": "2"}
	for path, value := range want {
		if got[path] != value {
			t.Errorf("%s = %q; want %q", path, got[path], value)
		}
	}
	if _, ok := got["net/ipv4/tcp_tw_recycle"]; ok {
		t.Error("a value for tcp_tw_recycle, which this kernel does not have")
	}
	devices := read(b, func(n *host.NS) ([]string, error) { return n.SysctlDevices("net/ipv4/conf") })
	if !slices.Contains(devices, "v.0") || !slices.Contains(devices, "all") {
		t.Errorf("SysctlDevices() = %v; want v.0 and all among them", devices)
	}
	if soft := read(b, (*host.NS).Softnet); soft.Processed == 0 || soft.Sockstat["sockets.used"] == 0 {
		t.Errorf("Softnet() = %+v; want packets and sockets", soft)
	}
}

func TestNamespacesFindsNamesAndProcesses(t *testing.T) {
	b, other := newBench(t), newPeer(t)
	found, denied := b.host.Namespaces()
	if denied != 0 {
		t.Errorf("%d processes were denied to root", denied)
	}
	i := slices.IndexFunc(found, func(f host.Found) bool { return strings.HasSuffix(f.Path, "/"+other.name) })
	if i < 0 {
		t.Fatalf("no %s in %v", other.name, found)
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	for _, f := range found {
		if f.Inode == b.host.Node().Inode || own == fmt.Sprintf("net:[%d]", f.Inode) {
			t.Errorf("Namespaces() has the node's own or the program's: %+v", f)
		}
		if seen[f.Inode] {
			t.Errorf("Namespaces() has %d twice", f.Inode)
		}
		seen[f.Inode] = true
	}
}
