package host_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/host/iptrules"
)

// bench is a network namespace of the test's own, opened as a node.
type bench struct {
	t    *testing.T
	name string
	host *host.Host
}

func newBench(t *testing.T, setup ...string) *bench {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for a network namespace")
	}
	b := &bench{t: t, name: fmt.Sprintf("nmw-%d-%s", os.Getpid(), strings.Map(letter, t.Name()))}
	b.must("ip", "netns", "add", b.name)
	t.Cleanup(func() { b.must("ip", "netns", "del", b.name) })
	for _, line := range setup {
		b.sh(line)
	}
	h, err := host.Open(host.Options{NetNS: "/run/netns/" + b.name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	b.host = h
	return b
}

func letter(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

func (b *bench) must(words ...string) string {
	b.t.Helper()
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s: %v: %s", strings.Join(words, " "), err, out)
	}
	return string(out)
}

func (b *bench) sh(line string) string {
	b.t.Helper()
	return b.must("ip", "netns", "exec", b.name, "sh", "-ec", line)
}

// ref finds a link of the namespace.
func (b *bench) ref(name string) facts.Ref {
	b.t.Helper()
	var index int
	if _, err := fmt.Sscan(b.sh("cat /sys/class/net/"+name+"/ifindex"), &index); err != nil {
		b.t.Fatal(err)
	}
	return facts.Ref{NetNS: b.host.Node().Inode, Index: index, Name: name}
}

func (b *bench) node() facts.Ref { return facts.Ref{NetNS: b.host.Node().Inode, Name: "node"} }

var moving = regexp.MustCompile(`(?m)random|_timer +[0-9.]+| state (UNKNOWN|UP)|(valid|preferred)_lft \d+sec|.*(stable_secret|nf_conntrack_count|mc_qlen).*`)

// state is all that anybody could see of the namespace: links with their attributes and features, addresses, routes, packet filters and every sysctl.
func (b *bench) state() string {
	b.t.Helper()
	return moving.ReplaceAllString(b.sh(`
		ip -d link; ip addr; ip route show table all; ip -6 route show table all; bridge -d link
		for d in $(ls /sys/class/net); do ethtool -k $d; done
		nft -s list ruleset
		for p in iptables-legacy-save ip6tables-legacy-save; do $p | grep -v '^#' || true; done
		cd /proc/sys/net && find . -type f | sort | xargs grep -sH . || true`), "")
}

// settled is state once the kernel has made what it makes of links that went up, which it does later and at its own pace (linkwatch, addrconf): the IPv6
// multicast route of each.
func (b *bench) settled() string {
	b.t.Helper()
	b.sh(`for try in $(seq 100); do
			routes=$(ip -6 route show table local)
			late=
			for d in $(ip -o link show up | awk -F '[:@ ]+' '$2 != "lo" {print $2}'); do
				echo "$routes" | grep -q "^multicast .* dev $d " || late=$d
			done
			[ -n "$late" ] || break
			sleep 0.05
		done`)
	return b.state()
}

func TestEveryKnobIsUndone(t *testing.T) {
	pair := "ip link add eth0.5 type veth peer name p0; ip link set eth0.5 up; ip link set p0 up; ip addr add 10.1.0.1/24 dev eth0.5"
	bridge := pair + "; ip link add br0 type bridge; ip link set br0 up; ip link set p0 master br0; sleep 0.2"
	vxlan := pair + "; ip link add flannel.1 type vxlan id 1 local 10.1.0.1 dev eth0.5 dstport 8472 nolearning; ip link set flannel.1 up"
	dad := "sysctl -qw net/ipv6/conf/default/accept_dad=0 net/ipv6/conf/default/addr_gen_mode=1; "
	rules := "iptables-nft -P FORWARD DROP; iptables-nft -t nat -A POSTROUTING -j MASQUERADE; iptables-nft -t mangle -P FORWARD ACCEPT; ip6tables-nft -t nat -P POSTROUTING ACCEPT"
	legacy := "iptables-legacy -P FORWARD DROP; iptables-legacy -t nat -A POSTROUTING -j MASQUERADE; iptables-legacy -t mangle -P FORWARD ACCEPT"
	cidr := fix.RuleForwardAccept(netip.MustParsePrefix("10.244.0.0/16"))
	for _, tt := range []struct {
		name  string
		setup string
		link  string // the object; empty for the node
		knob  fix.Knob
		from  string
		to    string
	}{
		{"tunnel checksum", vxlan, "flannel.1", fix.Ethtool(facts.FeatureTxChecksum), "on", "off"},
		{"feature by itself", pair, "p0", fix.Ethtool("rx-gro-list"), "off", "on"},
		{"nic segmentation", pair, "p0", fix.Ethtool("tx-udp_tnl-segmentation"), "on", "off"},
		{"mtu", pair, "eth0.5", fix.LinkMTU, "1500", "1450"},
		{"mtu of a bridge port", bridge, "p0", fix.LinkMTU, "1500", "1450"},
		{"hairpin", bridge, "p0", fix.Hairpin, "off", "on"},
		{"sysctl", pair, "", fix.Sysctl("net/ipv4/tcp_mtu_probing"), "0", "1"},
		{"sysctl of a device", pair, "eth0.5", fix.Sysctl("net/ipv4/conf/eth0.5/rp_filter"), "0", "2"},
		{"sysctl of two numbers", pair, "", fix.Sysctl("net/ipv4/ip_local_port_range"), "32768\t60999", "1024 60999"},
		{"bridge-nf-call", bridge, "", fix.Sysctl("net/bridge/bridge-nf-call-iptables"), "1", "0"},
		{"conntrack liberal", rules, "", fix.Sysctl("net/netfilter/nf_conntrack_tcp_be_liberal"), "0", "1"},
		{"forward accept", rules, "", cidr, "absent", "present"},
		{"tunnel accept", rules, "", fix.RuleTunnelAccept(8472), "absent", "present"},
		{"mss clamp", rules, "", fix.RuleMSSClamp, "absent", "present"},
		{"forward accept, legacy", legacy, "", cidr, "absent", "present"},
		{"tunnel accept, legacy", legacy, "", fix.RuleTunnelAccept(8472), "absent", "present"},
		{"mss clamp, legacy", legacy, "", fix.RuleMSSClamp, "absent", "present"},
		{"forward accept beside another", rules + "; iptables-nft -N NETMEND-FORWARD; iptables-nft -A NETMEND-FORWARD -s 10.96.0.0/16 -j ACCEPT; iptables-nft -I FORWARD -j NETMEND-FORWARD", "", cidr, "absent", "present"},
		{"tunnel accept beside kube-proxy's nftables", rules + "; nft add table ip kube-proxy", "", fix.RuleTunnelAccept(8472), "absent", "present"},
		{"mss clamp in no iptables", "", "", fix.RuleMSSClamp, "absent", "present"},
		{"own chain beside another", `nft 'add table inet netmend { chain mss-clamp { type filter hook forward priority mangle; tcp dport 1 accept; }; }'`, "", fix.RuleTunnelAccept(8472), "absent", "present"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, dad+tt.setup)
			c := fix.Change{Knob: tt.knob, On: b.node(), From: tt.from, To: tt.to}
			if tt.link != "" {
				c.On = b.ref(tt.link)
			}
			if got, err := b.host.Get(b.host.Node(), c); err != nil || got != c.From {
				t.Fatalf("Get() = %q, %v; want %q", got, err, c.From)
			}
			before := b.settled()
			for range 2 { // a write that has been made already changes nothing
				if err := b.host.SetWith(b.host.Node(), c, iptrules.Write); err != nil {
					t.Fatalf("Set(%v) = %v", c, err)
				}
			}
			if b.state() == before {
				t.Errorf("Set(%v) changed nothing that can be seen", c)
			}
			undo := fix.Fix{Changes: []fix.Change{c}}.Undo().Changes[0]
			for range 2 {
				if err := b.host.SetWith(b.host.Node(), undo, iptrules.Write); err != nil {
					t.Fatalf("Set(%v) = %v", undo, err)
				}
			}
			if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(b.state(), "\n")); diff != "" {
				t.Errorf("after the undo the namespace differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSideEffects is the list of what an undo by the knob alone does not bring back.
func TestSideEffects(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup string
		knob  fix.Knob
		read  string
		want  string // what the value is after the undo
	}{
		{"ip_forward resets accept_redirects", "sysctl -qw net/ipv4/conf/all/accept_redirects=0", fix.Sysctl("net/ipv4/ip_forward"), "net/ipv4/conf/all/accept_redirects", "1"},
		{"ip_forward resets the links' forwarding", "sysctl -qw net/ipv4/conf/lo/forwarding=1", fix.Sysctl("net/ipv4/ip_forward"), "net/ipv4/conf/lo/forwarding", "0"},
		{"so does IPv6's", "sysctl -qw net/ipv6/conf/lo/forwarding=1", fix.Sysctl("net/ipv6/conf/all/forwarding"), "net/ipv6/conf/lo/forwarding", "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.setup)
			c := fix.Change{Knob: tt.knob, On: b.node(), From: "0", To: "1"}
			beside, err := b.host.Beside(b.host.Node(), c)
			if err != nil {
				t.Fatal(err)
			}
			before := b.sh("cat /proc/sys/" + tt.read)
			if got := beside[tt.read] + "\n"; got != before {
				t.Errorf("Beside()[%s] = %q; want %q", tt.read, got, before)
			}
			for _, c := range []fix.Change{c, {Knob: c.Knob, On: c.On, From: "1", To: "0"}} {
				if err := b.host.SetWith(b.host.Node(), c, iptrules.Write); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.TrimSpace(b.sh("cat /proc/sys/" + tt.read)); got != tt.want {
				t.Errorf("%s = %s after the undo; want %s", tt.read, got, tt.want)
			}
		})
	}
}

func TestReservationIsReleasedUnderTheLock(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "10.244.0.5")
	text := "0123abcd\r\neth0"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := fix.Change{Knob: fix.Reservation(dir, netip.MustParseAddr("10.244.0.5")), From: text, To: fix.Absent}
	undo := fix.Change{Knob: c.Knob, From: fix.Absent, To: text}
	ns := b.host.Node()
	if err := b.host.Set(ns, c); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the release Stat = %v; want none", err)
	}
	if err := b.host.Set(ns, undo); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != text {
		t.Errorf("after the undo the file says %q, %v; want %q", got, err, text)
	}
	if names := b.must("ls", "-A", dir); names != "10.244.0.5\nlock\n" {
		t.Errorf("the directory holds %q; want the reservation and the lock", names)
	}
	if err := os.WriteFile(file, []byte("another\r\neth0"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.host.Set(ns, c); !errors.Is(err, fix.ErrPrecondition) {
		t.Errorf("Set() of another's reservation = %v; want ErrPrecondition", err)
	}
}

func TestGone(t *testing.T) {
	b := newBench(t, "ip link add eth0 type veth peer name p0")
	old := b.ref("eth0")
	b.sh("ip link del eth0; ip link add eth0 type veth peer name p0")
	for _, k := range []fix.Knob{fix.LinkMTU, fix.Hairpin, fix.Ethtool(facts.FeatureTxChecksum), fix.Sysctl("net/ipv4/conf/eth0/rp_filter")} {
		c := fix.Change{Knob: k, On: old, From: "1", To: "1400"}
		if got, err := b.host.Get(b.host.Node(), c); !errors.Is(err, host.ErrGone) {
			t.Errorf("Get(%s) of a link that was made anew = %q, %v; want ErrGone", k, got, err)
		}
		if err := b.host.SetWith(b.host.Node(), c, iptrules.Write); err == nil {
			t.Errorf("Set(%s) of a link that was made anew succeeds", k)
		}
	}
	c := fix.Change{Knob: fix.Sysctl("net/ipv4/tcp_tw_recycle"), On: b.node(), To: "0"}
	if err := b.host.SetWith(b.host.Node(), c, iptrules.Write); !errors.Is(err, host.ErrGone) {
		t.Errorf("Set() of a sysctl that this kernel has not = %v; want ErrGone", err)
	}
}

// TestByNameAlone finds a link that was made anew, for what follows a device.
func TestByNameAlone(t *testing.T) {
	b := newBench(t, "ip link add eth0 type veth peer name p0")
	c := fix.Change{Knob: fix.Ethtool(facts.FeatureTxChecksum), On: facts.Ref{Name: "eth0"}, From: "on", To: "off"}
	if err := b.host.SetWith(b.host.Node(), c, iptrules.Write); err != nil {
		t.Fatal(err)
	}
	if got, err := b.host.Get(b.host.Node(), c); err != nil || got != fix.Off {
		t.Errorf("Get() = %q, %v; want off", got, err)
	}
	c.On.Name = "eth1"
	if _, err := b.host.Get(b.host.Node(), c); !errors.Is(err, host.ErrGone) {
		t.Errorf("Get() of a link that is not there = %v; want ErrGone", err)
	}
}
