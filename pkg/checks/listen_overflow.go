package checks

import (
	"fmt"
	"strconv"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

const (
	sysctlSomaxconn = "net/core/somaxconn"
	// lowSomaxconn is below what any busy listener needs. The kernel's default was 128 until Linux 5.4 and is 4096 since (19f92a030ca6).
	lowSomaxconn     = 1024
	defaultSomaxconn = "4096"
)

// ListenOverflow finds listeners whose accept queue is full.
var ListenOverflow = &check.Check{
	Name:  "listen-overflow",
	Title: "A listener's accept queue is full and new connections are dropped",
	Since: "v0.1.0",
	Doc: markdown(`
A connection whose handshake is complete waits in the listener's accept queue until the program accepts it. When the queue is full, the kernel
drops further SYNs and the last ACK of handshakes without an answer.

**How it is seen.** New connections to one port time out or take 1, 3 or 7 s, while open ones work. ~ListenOverflows~ in ~/proc/net/netstat~
rises **in the network namespace of the pod**; the node's own counters show nothing. ~ss -ltn~ in that namespace shows a Recv-Q above Send-Q:
the queue holds one more than its limit when it is full (~sk_acceptq_is_full~ compares with ">").

**Why.** Either the program accepts too slowly (it is busy, blocked or has too few threads), or the queue is too short for bursts. Its limit is
the smaller of what the program asks for in listen(2) and ~net.core.somaxconn~ of its namespace at that moment. A pod starts with the kernel's
default, not with the node's value: 4096 since Linux 5.4, 128 before.

The check looks at the counter over the window, and at the queues at one moment, in the node's namespace and in each pod's.

**Fix.** Where the queue is full and its limit is a ~somaxconn~ below 1024, raise that to 4096 (undo writes the old value). It helps only once
the program calls listen again, so restart it. For a pod the lasting way is ~securityContext.sysctls~ with ~net.core.somaxconn~. Where the limit
is the program's own, raise its backlog, or let it accept faster; no sysctl helps.

**Cost.** A longer queue hides a slow program longer: clients wait in it instead of being refused.

**No fault.** A queue that is full for a moment drops nothing unless ListenOverflows rises: look twice. A limit of 0 is a listener that does not
take connections. ListenDrops without ListenOverflows are other drops (paws-listen-drops).
`),
	Needs:    []facts.Kind{facts.KindCounters, facts.KindSockets},
	Wants:    []facts.Kind{facts.KindSysctls},
	Pods:     true,
	Window:   check.WantsWindow,
	Counters: []string{"TcpExt.ListenOverflows"},
	Severity: check.Warning,
	Settle:   10 * time.Second,
	Run: func(s *facts.Snapshot) []check.Finding {
		var out []check.Finding
		for _, ns := range readable(s, facts.KindCounters, facts.KindSockets) {
			out = append(out, overflows(s, ns)...)
		}
		return out
	},
}

// overflows gives a finding for each full queue, or one for the namespace where connections were dropped and no queue is full at the moment.
func overflows(s *facts.Snapshot, ns *facts.Namespace) (out []check.Finding) {
	dropped, _ := delta(ns, "TcpExt.ListenOverflows")
	rose := risenEvidence(s, ns, "TcpExt.ListenOverflows")
	seen := map[string]bool{}
	for _, l := range ns.Listeners {
		if l.Limit == 0 || l.Queue <= l.Limit {
			continue
		}
		f := fullQueue(s, ns, l)
		f.Evidence = append(f.Evidence, rose...)
		if !seen[f.On.Name] { // several queues that one sysctl limits, or several sockets on one port
			seen[f.On.Name] = true
			out = append(out, f)
		}
	}
	if len(out) > 0 || dropped == 0 {
		return out
	}
	return []check.Finding{{
		Severity: check.Warning,
		On:       counterRef(ns, "TcpExt.ListenOverflows"),
		Message:  fmt.Sprintf("%d connections were dropped %s because an accept queue was full", dropped, during(s)),
		Evidence: rose,
		Fixes:    []fix.Fix{{Title: "find the listener and let it accept faster, or raise its backlog", Advice: []string{fix.Shell(ns, "ss", "-ltn")}}},
	}}
}

func fullQueue(s *facts.Snapshot, ns *facts.Namespace, l facts.Listener) check.Finding {
	f := check.Finding{
		Severity: check.Warning,
		On:       facts.Ref{NetNS: ns.Inode, Name: "listener " + l.Local.String()},
		Message:  fmt.Sprintf("the accept queue of %s is full: %d connections wait, its limit is %d", l.Local, l.Queue, l.Limit),
		Evidence: []check.Evidence{{Fact: "accept queue of " + l.Local.String(), Got: fmt.Sprint(l.Queue), Want: fmt.Sprintf("at most %d", l.Limit)}},
	}
	somaxconn, known := ns.Sysctls[sysctlSomaxconn]
	n, err := strconv.ParseUint(somaxconn, 10, 32)
	if known {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "net.core.somaxconn", Got: somaxconn})
	}
	if err != nil || n != uint64(l.Limit) || n >= lowSomaxconn {
		f.Fixes = []fix.Fix{{
			Title:  "let the program accept faster, or raise the backlog that it asks for in listen(2)",
			Advice: []string{fix.Shell(ns, "ss", "-ltnp", "src", l.Local.String()) + "  # shows the program"},
		}}
		return f
	}
	f.On.Name = "net.core.somaxconn"
	f.Message += ", that of net.core.somaxconn"
	f.Fixes = []fix.Fix{{
		Title:   "raise net.core.somaxconn to " + defaultSomaxconn + ", then restart the program that listens",
		Cost:    "a longer queue lets clients of a slow program wait longer before they are refused",
		Changes: []fix.Change{{Knob: fix.Sysctl(sysctlSomaxconn), On: f.On, From: somaxconn, To: defaultSomaxconn}},
	}}
	return f
}
