package fix_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// lab is a network namespace of the test's own.
type lab struct {
	t    *testing.T
	name string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for a network namespace")
	}
	l := &lab{t, fmt.Sprintf("nmfix-%d-%d", os.Getpid(), len(t.Name()))}
	l.host("ip", "netns", "add", l.name)
	t.Cleanup(func() { l.host("ip", "netns", "del", l.name) })
	return l
}

func (l *lab) host(words ...string) string {
	l.t.Helper()
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s: %v: %s", strings.Join(words, " "), err, out)
	}
	return string(out)
}

func (l *lab) run(words ...string) string {
	l.t.Helper()
	return l.host(append([]string{"ip", "netns", "exec", l.name}, words...)...)
}

// sh runs a printed command as a person would who pastes it.
func (l *lab) sh(command string) {
	l.t.Helper()
	l.host("sh", "-ec", command)
}

func (l *lab) snapshot() *facts.Snapshot {
	path := filepath.Join("/run/netns", l.name)
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		l.t.Fatal(err)
	}
	s := node()
	s.Host.Inode, s.Host.Path = st.Ino, path
	return s
}

func TestPrintedCommandsWork(t *testing.T) {
	l := newLab(t)
	l.run("ip", "link", "add", "eth0.5", "type", "veth", "peer", "name", "p'0;$x")
	l.run("ip", "link", "add", "br0", "type", "bridge")
	l.run("ip", "link", "set", "p'0;$x", "master", "br0")
	s := l.snapshot()
	ref := func(name string) facts.Ref { return facts.Ref{NetNS: s.Host.Inode, Index: 1, Name: name} }
	dir := filepath.Join(t.TempDir(), "a net")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "10.0.0.5")
	if err := os.WriteFile(file, []byte("id'$x\r\neth0"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change fix.Change
		read   func() string
	}{
		{"sysctl", fix.Change{Knob: fix.Sysctl("net/ipv4/conf/eth0.5/rp_filter"), On: ref("eth0.5"), From: "0", To: "2"}, func() string {
			return strings.TrimSpace(l.run("cat", "/proc/sys/net/ipv4/conf/eth0.5/rp_filter"))
		}},
		{"range", fix.Change{Knob: fix.Sysctl("net/ipv4/ip_local_port_range"), On: ref(""), From: "32768\t60999", To: "1024\t65535"}, func() string {
			return strings.TrimSpace(l.run("cat", "/proc/sys/net/ipv4/ip_local_port_range"))
		}},
		{"mtu", fix.Change{Knob: fix.LinkMTU, On: ref("p'0;$x"), From: "1500", To: "1450"}, func() string {
			return strings.TrimSpace(l.run("cat", "/sys/class/net/p'0;$x/mtu"))
		}},
		{"hairpin", fix.Change{Knob: fix.Hairpin, On: ref("p'0;$x"), From: "off", To: "on"}, func() string {
			if strings.TrimSpace(l.run("cat", "/sys/class/net/p'0;$x/brport/hairpin_mode")) == "1" {
				return fix.On
			}
			return fix.Off
		}},
		{"ethtool", fix.Change{Knob: fix.Ethtool(facts.FeatureTxChecksum), On: ref("p'0;$x"), From: "on", To: "off"}, func() string {
			_, rest, _ := strings.Cut(l.run("ethtool", "-k", "p'0;$x"), facts.FeatureTxChecksum+": ")
			return strings.Fields(rest)[0]
		}},
		{"reservation", fix.Change{Knob: fix.Reservation(dir, netip.MustParseAddr("10.0.0.5")), From: "id'$x\r\neth0", To: fix.Absent}, func() string {
			data, err := os.ReadFile(file)
			if err != nil {
				return fix.Absent
			}
			return string(data)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.change
			undo := fix.Change{Knob: c.Knob, On: c.On, From: c.To, To: c.From}
			for _, c := range []fix.Change{c, undo} {
				if got := tt.read(); got != c.From {
					t.Fatalf("before %s it is %q; want %q", c.Knob, got, c.From)
				}
				l.sh(fix.Command(s, c))
				if got := tt.read(); got != c.To {
					t.Errorf("after %s it is %q; want %q", fix.Command(s, c), got, c.To)
				}
			}
		})
	}
}

// dump is everything that a packet filter of the namespace holds, without counters.
func (l *lab) dump() string {
	out := l.run("nft", "-s", "list", "ruleset")
	for _, program := range []string{"iptables-legacy-save", "ip6tables-legacy-save"} {
		for line := range strings.Lines(l.run(program)) {
			if !strings.HasPrefix(line, "#") {
				out += line
			}
		}
	}
	return out
}

func chain(name, policy string, rules ...facts.FilterRule) facts.Chain {
	return facts.Chain{Name: name, Policy: policy, RulesRead: true, Rules: rules}
}

func table(backend, family, name string, chains ...facts.Chain) facts.Table {
	return facts.Table{Backend: backend, Family: family, Name: name, Chains: chains}
}

func TestPrintedRuleCommandsWork(t *testing.T) {
	cidr := fix.RuleForwardAccept(netip.MustParsePrefix("10.244.0.0/16"))
	cidr6 := fix.RuleForwardAccept(netip.MustParsePrefix("fd00:10::/64"))
	for _, tt := range []struct {
		name   string
		setup  []string
		tables []facts.Table
		knobs  []fix.Knob
		want   []string // texts that the dump then holds
	}{
		{
			"nft backend", []string{"iptables-nft -P FORWARD DROP; iptables-nft -t nat -A POSTROUTING -j MASQUERADE; ip6tables-nft -P FORWARD DROP; iptables-nft -t mangle -P FORWARD ACCEPT"},
			[]facts.Table{
				table(facts.BackendNFT, "ip", "filter", chain("FORWARD", "drop")),
				table(facts.BackendNFT, "ip6", "filter", chain("FORWARD", "drop")),
				table(facts.BackendNFT, "ip", "nat", chain("POSTROUTING", "accept", facts.FilterRule{Verdict: "masquerade"})),
				table(facts.BackendNFT, "ip", "mangle", chain("FORWARD", "accept")),
			},
			[]fix.Knob{cidr, cidr6, fix.RuleForwardAccept(netip.MustParsePrefix("10.96.0.0/16")), fix.RuleTunnelAccept(8472), fix.RuleTunnelAccept(4789), fix.RuleMSSClamp},
			[]string{"ip saddr 10.244.0.0/16 counter accept", "ip6 daddr fd00:10::/64 counter accept", "udp dport 4789 counter accept", "maxseg size set rt mtu"},
		},
		{
			"legacy backend", []string{"iptables-legacy -P FORWARD DROP; iptables-legacy -t nat -N KUBE-IPTABLES-HINT; iptables-legacy -t mangle -P FORWARD ACCEPT; iptables-nft -t nat -P POSTROUTING ACCEPT"},
			[]facts.Table{
				table(facts.BackendLegacy, "ip", "filter", chain("FORWARD", "drop")),
				table(facts.BackendLegacy, "ip", "nat", chain("POSTROUTING", "accept"), chain("KUBE-IPTABLES-HINT", "")),
				table(facts.BackendLegacy, "ip", "mangle", chain("FORWARD", "accept")),
				table(facts.BackendNFT, "ip", "nat", chain("POSTROUTING", "accept")),
			},
			[]fix.Knob{cidr, fix.RuleTunnelAccept(8472), fix.RuleMSSClamp},
			[]string{"-A NETMEND-FORWARD -s 10.244.0.0/16 -j ACCEPT", "-A NETMEND-POSTROUTING -p udp -m udp --dport 8472 -j ACCEPT", "--clamp-mss-to-pmtu"},
		},
		{
			"kube-proxy with nftables", []string{"iptables-nft -P FORWARD DROP; iptables-nft -t nat -A POSTROUTING -j MASQUERADE; nft add table ip kube-proxy"},
			[]facts.Table{
				table(facts.BackendNFT, "ip", "filter", chain("FORWARD", "drop")),
				table(facts.BackendNFT, "ip", "nat", chain("POSTROUTING", "accept", facts.FilterRule{Verdict: "masquerade"})),
				table(facts.BackendNFT, "ip", "kube-proxy"),
			},
			[]fix.Knob{cidr, fix.RuleTunnelAccept(8472), fix.RuleMSSClamp},
			[]string{"ip saddr 10.244.0.0/16 counter accept", "udp dport 8472 notrack", "maxseg size set rt mtu"},
		},
		{"nothing there", nil, nil, []fix.Knob{fix.RuleTunnelAccept(8472), fix.RuleMSSClamp}, []string{"udp dport 8472 notrack", "maxseg size set rt mtu"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			for _, line := range tt.setup {
				l.run("sh", "-ec", line)
			}
			s := l.snapshot()
			s.Host.Tables = tt.tables
			states := []string{l.dump()}
			steps := []*facts.Snapshot{s}
			for _, k := range tt.knobs {
				f := fix.Fix{Changes: []fix.Change{{Knob: k, From: fix.Absent, To: fix.Present}}}
				l.sh(fix.Command(s, f.Changes[0]))
				s = apply(t, s, f)
				steps, states = append(steps, s), append(states, l.dump())
			}
			for _, w := range tt.want {
				if got := states[len(states)-1]; !strings.Contains(got, w) {
					t.Errorf("the filter lacks %q:\n%s", w, got)
				}
			}
			for i := len(tt.knobs) - 1; i >= 0; i-- {
				f := fix.Fix{Changes: []fix.Change{{Knob: tt.knobs[i], From: fix.Present, To: fix.Absent}}}
				l.sh(fix.Command(s, f.Changes[0]))
				s = apply(t, s, f)
				if got := l.dump(); got != states[i] {
					t.Errorf("after the undo of %s the filter holds\n%s\nwant\n%s", tt.knobs[i], got, states[i])
				}
				if diff := cmp.Diff(steps[i], s); diff != "" {
					t.Errorf("after the undo of %s the snapshot differs (-want +got):\n%s", tt.knobs[i], diff)
				}
			}
		})
	}
}

func apply(t *testing.T, s *facts.Snapshot, f fix.Fix) *facts.Snapshot {
	t.Helper()
	applied, err := fix.Apply(s, f)
	if err != nil {
		t.Fatal(err)
	}
	return applied
}
