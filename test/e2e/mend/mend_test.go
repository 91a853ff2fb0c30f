package mend

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/host/iptrules"
	"github.com/netmend/netmend/test/e2e/lab"
)

// TestFixAndUndo is incident (c) from beginning to end: slow, mended, fast, undone, slow.
func TestFixAndUndo(t *testing.T) {
	t.Parallel()
	f := lab.NewFlannel(t, 4, "")
	n := f.Nodes[0]
	f.Pods[1].Listen(f.Target())
	f.MarkAndMasquerade("--random-fully")
	connects(t, f, true)

	if d := mend(t, n, 0, "fix", "--dry-run"); len(d.Plan) != 1 || d.Plan[0].Check != "tunnel-tx-checksum" || len(d.Results) != 0 {
		t.Errorf("the plan is %+v", d)
	}
	connects(t, f, true) // a dry run changes nothing
	mend(t, n, 2, "fix") // nobody is asked
	d := mend(t, n, 0, "fix", "--yes")
	if len(d.Results) != 1 || d.Results[0].State != "verified" || !d.Results[0].Proved {
		t.Errorf("fix says %+v", d.Results)
	}
	connects(t, f, false)
	if d := mend(t, n, 0, "fix", "--yes"); len(d.Plan) != 0 {
		t.Errorf("a second fix plans %+v", d.Plan)
	}
	if d := mend(t, n, 0, "history"); len(d.Fixes) != 1 || d.Fixes[0].State != "verified" {
		t.Errorf("history says %+v", d.Fixes)
	}
	if d := mend(t, n, 0, "undo", "--all"); len(d.Fixes) != 1 || d.Fixes[0].State != "undone" {
		t.Errorf("undo says %+v", d.Fixes)
	}
	connects(t, f, true)
	mend(t, n, 2, "undo", "1")
	mend(t, n, 2, "undo", "7")
}

// TestTunnelRule makes the second fix of the same fault: a rule ahead of masquerading, or, where kube-proxy has nftables to itself, no connection tracking.
func TestTunnelRule(t *testing.T) {
	for _, version := range []int{4, 6} {
		for _, mode := range []string{"iptables", "nftables"} {
			t.Run(fmt.Sprintf("IPv%d, %s", version, mode), func(t *testing.T) {
				t.Parallel()
				f := lab.NewFlannel(t, version, "")
				n := f.Nodes[0]
				f.Pods[1].Listen(f.Target())
				if mode == "iptables" {
					f.MarkAndMasquerade("--random-fully")
				} else {
					kubeProxyNFTables(f, version)
				}
				connects(t, f, true)
				before := n.Sh("nft -s list ruleset")
				// The flows that were translated before are still so, which the check says: 1.
				if d := mend(t, n, 1, "fix", "--yes", "--check", "tunnel-tx-checksum=2"); len(d.Results) != 1 || d.Results[0].State != "verified" {
					t.Fatalf("fix says %+v", d)
				}
				connects(t, f, false)
				own := map[string]string{"iptables": "udp dport 8472 counter", "nftables": "udp dport 8472 notrack"}[mode]
				if now := n.Sh("nft -s list ruleset"); !strings.Contains(now, own) {
					t.Errorf("the rules lack %q:\n%s", own, now)
				}
				mend(t, n, 0, "undo", "--all")
				if now := n.Sh("nft -s list ruleset"); now != before {
					t.Errorf("after the undo the rules are\n%s\nwant\n%s", now, before)
				}
				connects(t, f, true)
			})
		}
	}
}

// kubeProxyNFTables is the part of kube-proxy's nftables table that masquerades (pkg/proxy/nftables/proxier.go), with a mark that leaks to the tunnel's packets.
func kubeProxyNFTables(f *lab.Flannel, version int) {
	family := map[int]string{4: "ip", 6: "ip6"}[version]
	f.Nodes[0].Sh(fmt.Sprintf(`nft -f - <<'EOF'
table %s kube-proxy {
	chain masquerading {
		meta mark & 0x4000 == 0 return
		masquerade fully-random
	}
	chain nat-output {
		type nat hook output priority -100; policy accept;
		%s daddr %s tcp dport 8080 meta mark set meta mark or 0x4000
	}
	chain nat-postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		jump masquerading
	}
}
EOF`, family, family, f.Addr[1]))
}

// TestForwardAccept opens a FORWARD chain that drops, for the pods alone.
func TestForwardAccept(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			f := lab.NewFlannel(t, 4, "")
			n := f.Nodes[0]
			f.Pods[1].Listen(f.Target())
			n.Sh("iptables-nft -F FORWARD; iptables-nft -F FLANNEL-FWD; iptables-nft -X FLANNEL-FWD; iptables-" + backend + " -P FORWARD DROP")
			if _, err := f.Pods[0].Connect(f.Target(), time.Second); err == nil {
				t.Fatal("the fault does not show: the pod connects")
			}
			before := n.Sh("nft -s list ruleset; iptables-legacy-save | grep -v '^[#:]' || true")
			d := mend(t, n, 0, "fix", "--yes", "--check", "forward-blocked", "--pod-cidr", lab.PodCIDR)
			if len(d.Results) == 0 {
				t.Fatalf("fix says %+v", d)
			}
			if _, err := f.Pods[0].Connect(f.Target(), 3*time.Second); err != nil {
				t.Errorf("after the fix: %v", err)
			}
			mend(t, n, 0, "undo", "--all")
			if now := n.Sh("nft -s list ruleset; iptables-legacy-save | grep -v '^[#:]' || true"); now != before {
				t.Errorf("after the undo the rules are\n%s\nwant\n%s", now, before)
			}
			if _, err := f.Pods[0].Connect(f.Target(), time.Second); err == nil {
				t.Error("after the undo the pod connects")
			}
		})
	}
}

// TestBootFiles mends a node whose namespace is that of the first process, as far as its /proc says.
func TestBootFiles(t *testing.T) {
	t.Parallel()
	f := lab.NewFlannel(t, 4, "")
	n := f.Nodes[0]
	if err := os.Remove(filepath.Join(n.Root, "proc")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(n.Root, "proc/1/ns"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{
		"1/ns/net": fmt.Sprintf("net:[%d]", n.Inode()), "sys": "/proc/sys", "thread-self": "/proc/thread-self", "net": "/proc/thread-self/net",
	} {
		if err := os.Symlink(target, filepath.Join(n.Root, "proc", link)); err != nil {
			t.Fatal(err)
		}
	}
	n.Write("var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n")
	n.Write("etc/sysctl.conf", "# hardening\nnet.ipv4.ip_forward = 0\n")
	n.Sh("sysctl -qw net.ipv4.ip_forward=0")
	d := mend(t, n, 0, "fix", "--yes", "--check", "ip-forward")
	if len(d.Plan) != 1 || len(d.Plan[0].Warnings) != 1 || !strings.Contains(d.Plan[0].Warnings[0], `/etc/sysctl.conf:2 sets it to "0" at boot, after netmend's file`) {
		t.Errorf("the plan says %+v", d.Plan)
	}
	file := filepath.Join(n.Root, "etc/sysctl.d/99-netmend.conf")
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "\nnet/ipv4/ip_forward = 1\n") {
		t.Errorf("the file holds %q, %v", text, err)
	}
	n.Sh("sysctl -qw net.ipv4.ip_forward=0; sysctl -q -p " + file)
	if got := n.Sh("cat /proc/sys/net/ipv4/ip_forward"); got != "1\n" {
		t.Errorf("sysctl -p of the file sets %q", got)
	}
	mend(t, n, 0, "undo", "--all")
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("after the undo the file is there: %v", err)
	}
	if got := n.Sh("cat /proc/sys/net/ipv4/ip_forward"); got != "0\n" {
		t.Errorf("after the undo ip_forward is %q", got)
	}
}

// TestMSSClamp asks a connection through a router with a narrower link behind it which segment size the ends agreed on.
func TestMSSClamp(t *testing.T) {
	for _, tt := range []struct{ name, setup string }{
		{"nft", "iptables-nft -t mangle -P FORWARD ACCEPT"},
		{"legacy", "iptables-legacy -t mangle -P FORWARD ACCEPT"},
		{"own table", "true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, r, b := lab.NewNS(t, "a"), lab.NewNS(t, "r"), lab.NewNS(t, "b")
			lab.Veth(a, "eth0", r, "ra")
			lab.Veth(b, "eth0", r, "rb")
			r.Sh("sysctl -qw net.ipv4.ip_forward=1; ip addr add 10.0.1.1/24 dev ra; ip addr add 10.0.2.1/24 dev rb; ip link set rb mtu 1400; " + tt.setup)
			a.Sh("ip addr add 10.0.1.2/24 dev eth0; ip route add default via 10.0.1.1")
			b.Sh("ip addr add 10.0.2.2/24 dev eth0; ip route add default via 10.0.2.1")
			addr := netip.MustParseAddrPort("10.0.2.2:8080")
			b.Listen(addr)
			h, err := host.Open(host.Options{NetNS: r.Path})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			c := fix.Change{Knob: fix.RuleMSSClamp, From: fix.Absent, To: fix.Present}
			for _, step := range []struct {
				set  *fix.Change
				want int // bytes of a segment, without 12 of timestamps
			}{{nil, 1448}, {&c, 1348}, {&fix.Change{Knob: c.Knob, From: c.To, To: c.From}, 1448}} {
				if step.set != nil {
					if err := h.SetWith(h.Node(), *step.set, iptrules.Write); err != nil {
						t.Fatal(err)
					}
				}
				if got := segment(t, a, addr); got != step.want {
					t.Errorf("with the clamp %v the segment has %d bytes; want %d", step.set, got, step.want)
				}
			}
		})
	}
}

// segment is the size that a connection starts with.
func segment(t *testing.T, n *lab.NS, addr netip.AddrPort) (mss int) {
	t.Helper()
	err := n.Do(func() error {
		c, err := net.DialTimeout("tcp", addr.String(), 3*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		raw, err := c.(*net.TCPConn).SyscallConn()
		if err != nil {
			return err
		}
		return raw.Control(func(fd uintptr) {
			mss, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG)
			if err != nil {
				t.Error(err)
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return mss
}
