package checks

import (
	"fmt"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

const (
	pawsLeast        = 5   // drops in the window that are worth a finding
	pawsShare        = 0.8 // of the listeners' drops
	pawsNewPerMinute = 60  // of the new kernel's counters, which stray packets raise too
)

// PAWSListenDrops finds SYNs that are dropped for their timestamp.
var PAWSListenDrops = &check.Check{
	Name:  "paws-listen-drops",
	Title: "SYNs are dropped because their TCP timestamp looks old",
	Since: "v0.1.0",
	Doc: markdown(`
~PAWSPassive~ counts SYNs that the kernel dropped because their TCP timestamp is older than the last one it saw from that address. It rises only
with ~tcp_tw_recycle~ on. This check is the proof that tcp-tw-recycle costs connections now, and in which pod.

**How it is seen.** A port times out now and then, for some clients only. In ~/proc/net/netstat~, read twice in the network namespace of the
listener, ~PAWSPassive~ and ~ListenDrops~ rise together: in the incident behind this check both went from 3565 to 3858. The counters are the
listening pod's own; on the node they may stand still.

**Why.** The drop is in ~tcp_conn_request~ (net/ipv4/tcp_input.c up to Linux 4.11), which counts it as PAWSPassive and then as a ListenDrop.
Linux 4.12 removed the code together with the sysctl. The clients' clocks are not the cause: timestamps count per host or per connection,
not in wall time (RFC 7323 section 5.4), so NTP mends nothing.

Critical: at least 5 such drops over the window, and at least 80 % of all drops of listeners. On newer kernels the counter does not exist; there
~PAWSEstab~, ~PAWSTimewait~, ~PAWSOldAck~ and ~TSEcrRejected~ count segments of existing connections whose timestamp is refused. More than 60 of
those a minute are reported as info: mostly a middlebox that rewrites timestamps, or packets that come very late.

**Fix.** None of its own: switch ~tcp_tw_recycle~ off (tcp-tw-recycle), on the node or in the pod that is named.

**No fault.** Listener drops without PAWSPassive are full queues (listen-overflow). Many sockets in TIME_WAIT, and a high ~TWKilled~, are not
drops; on newer kernels ~TWKilled~ only counts TIME_WAITs of at most four seconds.
`),
	Needs:    []facts.Kind{facts.KindCounters},
	Wants:    []facts.Kind{facts.KindSysctls},
	Pods:     true,
	Window:   check.NeedsWindow,
	Counters: []string{"TcpExt.PAWSPassive", "TcpExt.ListenDrops", "TcpExt.PAWSEstab", "TcpExt.PAWSTimewait", "TcpExt.PAWSOldAck", "TcpExt.TSEcrRejected"},
	Severity: check.Critical,
	Settle:   10 * time.Second,
	Run: func(s *facts.Snapshot) []check.Finding {
		var out []check.Finding
		for _, ns := range readable(s, facts.KindCounters) {
			if f, found := pawsDrops(s, ns); found {
				out = append(out, f)
			} else if f, found := pawsRefusals(s, ns); found {
				out = append(out, f)
			}
		}
		return out
	},
}

// pawsDrops judges the counter of kernels that have tcp_tw_recycle.
func pawsDrops(s *facts.Snapshot, ns *facts.Namespace) (check.Finding, bool) {
	passive, _ := delta(ns, "TcpExt.PAWSPassive")
	listen, known := delta(ns, "TcpExt.ListenDrops")
	if passive < pawsLeast || known && float64(passive) < pawsShare*float64(listen) {
		return check.Finding{}, false
	}
	f := check.Finding{
		Severity: check.Critical,
		On:       counterRef(ns, "TcpExt.PAWSPassive"),
		Message:  fmt.Sprintf("%d SYNs were dropped %s because their timestamp looks old: clients behind NAT time out", passive, during(s)),
		Evidence: risenEvidence(s, ns, "TcpExt.PAWSPassive", "TcpExt.ListenDrops"),
		Fixes: []fix.Fix{{
			Title:  "switch tcp_tw_recycle off",
			Advice: []string{fix.Shell(ns, "sysctl", "-w", "net.ipv4.tcp_tw_recycle=0")},
		}},
	}
	// Before Linux 4.10 the value is the node's for all namespaces, and a pod does not show it.
	for _, at := range []*facts.Namespace{ns, &s.Host} {
		if v, ok := at.Sysctls[sysctlTWRecycle]; ok {
			f.Evidence = append(f.Evidence, check.Evidence{Fact: "net.ipv4.tcp_tw_recycle", Got: v, Want: "0"})
			f.Fixes[0].Advice[0] = fix.Shell(at, "sysctl", "-w", "net.ipv4.tcp_tw_recycle=0")
			break
		}
	}
	return f, true
}

// pawsRefusals judges the counters of newer kernels, which are no drops of listeners.
func pawsRefusals(s *facts.Snapshot, ns *facts.Namespace) (check.Finding, bool) {
	names := []string{"TcpExt.PAWSEstab", "TcpExt.PAWSTimewait", "TcpExt.PAWSOldAck", "TcpExt.TSEcrRejected"}
	var sum uint64
	for _, name := range names {
		d, _ := delta(ns, name)
		sum += d
	}
	if perMinute(s, sum) < pawsNewPerMinute {
		return check.Finding{}, false
	}
	return check.Finding{
		Severity: check.Info,
		On:       counterRef(ns, names[0]),
		Message:  fmt.Sprintf("%d segments of existing connections were refused %s because their timestamp looks old", sum, during(s)),
		Evidence: risenEvidence(s, ns, names...),
	}, true
}
