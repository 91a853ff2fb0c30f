package checks

import (
	"fmt"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

const (
	sysctlTWRecycle     = "net/ipv4/tcp_tw_recycle"
	sysctlTCPTimestamps = "net/ipv4/tcp_timestamps"
)

// TCPTWRecycle finds tcp_tw_recycle switched on.
var TCPTWRecycle = &check.Check{
	Name:  "tcp-tw-recycle",
	Title: "tcp_tw_recycle drops connections of clients behind NAT",
	Since: "v0.1.0",
	Doc: markdown(`
With ~net.ipv4.tcp_tw_recycle = 1~ the kernel remembers the last TCP timestamp of each remote **address** and silently drops a SYN that carries
an older one. Clients behind one NAT address have independent timestamp clocks, so some of their SYNs always look old.

**How it is seen.** A port times out now and then, for some clients only, while ping works and ~curl localhost~ on the node works. A capture
on the server shows the SYN arriving, and again a second later, and no SYN-ACK. ~PAWSPassive~ and ~ListenDrops~ in ~/proc/net/netstat~ rise
together (see paws-listen-drops). Masqueraded pods, load balancers that rewrite the source and office networks are all such clients.

**Why.** The check for each address was meant to let TIME_WAIT sockets go early (~tcp_peer_is_proven~ of net/ipv4/tcp_metrics.c). It never
worked behind NAT, and since Linux 4.10, which randomises timestamps for each connection, not without NAT either; Linux 4.12 removed the sysctl
(commit 4396e46187ca). Where the file does not exist there is nothing to find.

It is critical while ~tcp_timestamps~ is not 0, its default being 1, or while PAWSPassive rises. With timestamps off the drops cannot happen
until somebody switches them on again; then it is a warning. In 4.10 and 4.11 each network namespace has its own value, so pods are judged too.

**Fix.** Write 0. It takes effect at once and resets no connection; undo writes the old value. The sysctl is mostly set by a tuning file copied
from the web, so the finding names the files that would set it again at the next boot. Do not switch ~tcp_timestamps~ off instead: PAWS
and the round-trip estimate need it (RFC 7323).

**Cost.** More sockets in TIME_WAIT, at most ~tcp_max_tw_buckets~ of them, each a few hundred bytes for a minute.
`),
	Needs:    []facts.Kind{facts.KindSysctls},
	Wants:    []facts.Kind{facts.KindCounters, facts.KindSysctlFiles},
	Pods:     true,
	Window:   check.WantsWindow,
	Counters: []string{"TcpExt.PAWSPassive"},
	Severity: check.Critical,
	NotApplicable: func(s *facts.Snapshot) string {
		for _, ns := range readable(s, facts.KindSysctls) {
			if _, ok := ns.Sysctls[sysctlTWRecycle]; ok {
				return ""
			}
		}
		return "this kernel has no tcp_tw_recycle (removed in 4.12)"
	},
	Run: runTCPTWRecycle,
}

func runTCPTWRecycle(s *facts.Snapshot) []check.Finding {
	var out []check.Finding
	for _, ns := range readable(s, facts.KindSysctls) {
		v, ok := ns.Sysctls[sysctlTWRecycle]
		if !ok || v == "0" {
			continue
		}
		f := check.Finding{
			Severity: check.Warning,
			On:       facts.Ref{NetNS: ns.Inode, Name: "net.ipv4.tcp_tw_recycle"},
			Message:  fmt.Sprintf("tcp_tw_recycle is %s: SYNs of clients behind NAT are dropped as soon as TCP timestamps are on", v),
			Evidence: []check.Evidence{{Fact: "net.ipv4.tcp_tw_recycle", Got: v, Want: "0"}},
		}
		timestamps, known := ns.Sysctls[sysctlTCPTimestamps]
		if known {
			f.Evidence = append(f.Evidence, check.Evidence{Fact: "net.ipv4.tcp_timestamps", Got: timestamps})
		}
		dropped, rising := delta(ns, "TcpExt.PAWSPassive")
		if rising && dropped > 0 {
			f.Evidence = append(f.Evidence, check.Evidence{Fact: "TcpExt PAWSPassive", Got: risen(s, dropped), Want: "+0"})
		}
		if (known && timestamps != "0") || dropped > 0 {
			f.Severity = check.Critical
			f.Message = fmt.Sprintf("tcp_tw_recycle is %s: SYNs of clients behind NAT are dropped without an answer", v)
		}
		f.Evidence = append(f.Evidence, setAtBoot(s, sysctlTWRecycle, "0")...)
		f.Fixes = []fix.Fix{{
			Title:   "switch tcp_tw_recycle off",
			Cost:    "more sockets in TIME_WAIT, at most tcp_max_tw_buckets",
			Changes: []fix.Change{{Knob: fix.Sysctl(sysctlTWRecycle), On: f.On, From: v, To: "0"}},
		}}
		out = append(out, f)
	}
	return out
}
