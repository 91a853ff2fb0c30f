package fix_test

import (
	"net/netip"
	"testing"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

func node() *facts.Snapshot {
	return &facts.Snapshot{
		Schema: facts.Schema, Kinds: []facts.Kind{facts.KindNFTables, facts.KindLegacy},
		Host: facts.Namespace{Inode: 1},
		Pods: []facts.Namespace{{Inode: 2, Path: "/proc/77/ns/net"}},
	}
}

func TestCommand(t *testing.T) {
	eth := facts.Ref{NetNS: 1, Index: 2, Name: "eth0.5"}
	pod := facts.Ref{NetNS: 2, Index: 2, Name: "eth0"}
	reservation := fix.Reservation("/var/lib/cni/networks/my net", netip.MustParseAddr("10.0.0.5"))
	for _, tt := range []struct {
		name   string
		change fix.Change
		want   string
	}{
		{"ethtool", fix.Change{Knob: fix.Ethtool("tx-checksum-ip-generic"), On: eth, From: "on", To: "off"}, "ethtool -K eth0.5 tx-checksum-ip-generic off"},
		{"sysctl of a device with a dot", fix.Change{Knob: fix.Sysctl("net/ipv4/conf/eth0.5/rp_filter"), On: eth, From: "1", To: "2"}, "sysctl -w net/ipv4/conf/eth0.5/rp_filter=2"},
		{"sysctl with blanks", fix.Change{Knob: fix.Sysctl("net/ipv4/ip_local_port_range"), On: eth, To: "1024\t60999"}, "sysctl -w 'net/ipv4/ip_local_port_range=1024\t60999'"},
		{"sysctl out of the tree", fix.Change{Knob: fix.Sysctl("net/../kernel/core_pattern"), On: eth, To: "|x"}, `# no command sets "sysctl:net/../kernel/core_pattern" to "|x"`},
		{"mtu in a pod", fix.Change{Knob: fix.LinkMTU, On: pod, From: "1500", To: "1450"}, "nsenter --net=/proc/77/ns/net ip link set dev eth0 mtu 1450"},
		{"hairpin", fix.Change{Knob: fix.Hairpin, On: facts.Ref{NetNS: 1, Index: 9, Name: "a'b;c"}, To: "on"}, `bridge link set dev 'a'\''b;c' hairpin on`},
		{"unknown namespace", fix.Change{Knob: fix.LinkMTU, On: facts.Ref{NetNS: 3, Index: 1, Name: "eth0"}, To: "1"}, "# no network namespace 3 in the snapshot"},
		{"module", fix.Change{Knob: fix.Module("br_netfilter"), From: "absent", To: "loaded"}, "modprobe br_netfilter"},
		{"module back", fix.Change{Knob: fix.Module("br_netfilter"), From: "loaded", To: "absent"}, "rmmod br_netfilter"},
		{
			"release", fix.Change{Knob: reservation, From: "abc\r\neth0", To: "absent"},
			`printf '%s\r\n%s' abc eth0 | flock '/var/lib/cni/networks/my net/lock' sh -c '[ "$(cat)" = "$(cat "$0")" ] && rm "$0"' '/var/lib/cni/networks/my net/10.0.0.5'`,
		},
		{
			"take back", fix.Change{Knob: reservation, From: "absent", To: "abc"},
			`printf %s abc | flock '/var/lib/cni/networks/my net/lock' sh -c 'set -C && umask 077 && cat >"$0"' '/var/lib/cni/networks/my net/10.0.0.5'`,
		},
		{"a rule nobody knows", fix.Change{Knob: "rule:x", To: "present"}, `# "no rule \"x\""`},
		{"a rule where it would not help", fix.Change{Knob: fix.RuleForwardAccept(netip.MustParsePrefix("10.0.0.0/8")), To: "present"}, `# "iptables has no chain FORWARD of table filter here: nothing of it drops, and an accept elsewhere would not help"`},
		{"a rule that is not there", fix.Change{Knob: fix.RuleMSSClamp, To: "absent"}, "# rule:mss-clamp is absent already"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fix.Command(node(), tt.change); got != tt.want {
				t.Errorf("Command(%v) = %s; want %s", tt.change, got, tt.want)
			}
		})
	}
}

func TestCommandsOfAdvice(t *testing.T) {
	f := fix.Fix{Title: "look", Advice: []string{"first", "second"}}
	if got := fix.Commands(node(), f); len(got) != 2 || got[0] != "first" {
		t.Errorf("Commands(%v) = %q; want its advice", f, got)
	}
}
