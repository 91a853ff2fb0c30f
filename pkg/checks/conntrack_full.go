package checks

import (
	"fmt"
	"strconv"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

const (
	sysctlConntrackMax     = "net/netfilter/nf_conntrack_max"
	sysctlConntrackBuckets = "net/netfilter/nf_conntrack_buckets"
)

// ConntrackFull finds a connection-tracking table without room for new connections.
var ConntrackFull = &check.Check{
	Name:  "conntrack-full",
	Title: "The connection-tracking table is full or nearly so",
	Since: "v0.1.0",
	Doc: markdown(`
kube-proxy, masquerading and network policies need an entry of connection tracking for each flow. When the table holds ~nf_conntrack_max~
entries, the kernel tries to throw out one that saw no answer yet (~early_drop~); if it finds none in a few buckets, it drops the new packet
(~drop~).

**How it is seen.** New connections of every pod on the node time out at random, old ones go on; the kernel logs ~nf_conntrack: table full,
dropping packet~. DNS, with a new flow for each question, suffers first. Typical causes are a load test, a scan, many short UDP flows, or a
limit that a small machine got at boot.

**Why.** ~__nf_conntrack_alloc~ in net/netfilter/nf_conntrack_core.c. Entries are counted per network namespace; the limit is one for all of
them and can be written in the initial namespace only. A ~drop~ with room in the table has other reasons, such as two packets that confirm the
same flow at once (conntrack-insert-failed), so it counts here only from three quarters of the limit on. ~early_drop~ happens at the limit
alone.

It is critical from 90 % of the limit on, or where packets were dropped; a warning from 75 % on, or where entries had to go early.

**Fix.** Double the limit, at most to one entry per 64 KiB of memory, and never lower it. The number of hash buckets follows where it would fall
below a quarter of the limit. Undo writes the old values; entries above the old limit stay until they expire. Both are gone when kube-proxy
starts: it writes ~max(conntrack.min, conntrack.maxPerCore x cores)~, so set these in KubeProxyConfiguration, or ~maxPerCore: 0~ to leave the
limit alone.

**Cost.** About 0.3 KiB of kernel memory for each entry in use, and 8 bytes for each bucket. Changing the buckets rehashes the table.

**When it is no fault.** A limit of 0 means none. A table that is filled by an attack is filled at any size: look at ~conntrack -S~ and at what
it holds (~conntrack -L -o extended~) before raising it.
`),
	Needs:    []facts.Kind{facts.KindConntrack},
	Wants:    []facts.Kind{facts.KindSysctls},
	Window:   check.WantsWindow,
	Severity: check.Critical,
	Run:      runConntrackFull,
}

func runConntrackFull(s *facts.Snapshot) []check.Finding {
	c := s.Host.Conntrack
	if c == nil {
		return nil
	}
	limit := c.Max
	if v, err := strconv.ParseUint(s.Host.Sysctls[sysctlConntrackMax], 10, 32); err == nil {
		limit = v
	}
	if limit == 0 {
		return nil
	}
	used := float64(c.Count) / float64(limit)
	dropped, early := c.Delta["drop"], c.Delta["early_drop"]
	if limit > c.Max { // what rose under a lower limit proves nothing of this one
		dropped, early = 0, 0
	}
	var severity check.Severity
	switch {
	case used >= 0.9, used >= 0.75 && dropped > 0:
		severity = check.Critical
	case used >= 0.75, early > 0:
		severity = check.Warning
	default:
		return nil
	}
	f := check.Finding{
		Severity: severity,
		On:       facts.Ref{NetNS: s.Host.Inode, Name: dotted(sysctlConntrackMax)},
		Message:  fmt.Sprintf("%d of %d connection-tracking entries are in use (%s)", c.Count, limit, percent(used)),
		Evidence: []check.Evidence{{Fact: "nf_conntrack_count", Got: fmt.Sprint(c.Count)}, {Fact: dotted(sysctlConntrackMax), Got: fmt.Sprint(limit)}},
	}
	if dropped > 0 {
		f.Message += ", and new connections are dropped"
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "conntrack drop", Got: risen(s, dropped), Want: "+0"})
	}
	if early > 0 {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "conntrack early_drop", Got: risen(s, early), Want: "+0"})
	}
	f.Fixes = append(raiseConntrack(s, f.On, limit), fix.Fix{
		Title: "see what fills the table, and set the limit where it lasts",
		Advice: []string{
			fix.Shell(&s.Host, "conntrack", "-L", "-o", "extended") + "  # long",
			"kubectl -n kube-system edit configmap kube-proxy  # conntrack.maxPerCore and conntrack.min; maxPerCore 0 leaves the node's value alone",
		},
	})
	return []check.Finding{f}
}

// raiseConntrack offers a higher limit where it can be written: in the initial namespace, which alone has the neighbour tables' thresholds.
func raiseConntrack(s *facts.Snapshot, on facts.Ref, limit uint64) []fix.Fix {
	from, known := s.Host.Sysctls[sysctlConntrackMax]
	_, initial := s.Host.Sysctls[sysctlNeighMax4]
	to := min(2*limit, s.Node.Memory/(64<<10), 1<<31-1)
	if !known || !initial || to <= limit {
		return nil
	}
	x := fix.Fix{
		Title:   fmt.Sprintf("raise the limit to %d", to),
		Cost:    fmt.Sprintf("up to %d MiB of kernel memory; kube-proxy writes its own value when it starts", (to-limit)*320>>20),
		Changes: []fix.Change{{Knob: fix.Sysctl(sysctlConntrackMax), On: on, From: from, To: fmt.Sprint(to)}},
	}
	buckets := s.Host.Sysctls[sysctlConntrackBuckets]
	if n, err := strconv.ParseUint(buckets, 10, 32); err == nil && n < to/4 {
		on.Name = dotted(sysctlConntrackBuckets)
		x.Changes = append(x.Changes, fix.Change{Knob: fix.Sysctl(sysctlConntrackBuckets), On: on, From: buckets, To: fmt.Sprint(to / 4)})
	}
	return []fix.Fix{x}
}

// percent writes a fraction.
func percent(part float64) string { return fmt.Sprintf("%.0f %%", part*100) }
