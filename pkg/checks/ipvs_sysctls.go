package checks

import (
	"fmt"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// IPVSSysctls finds settings of IPVS that kube-proxy has set and another program has changed.
var IPVSSysctls = &check.Check{
	Name:  "ipvs-sysctls",
	Title: "A setting of IPVS is not what kube-proxy set it to",
	Since: "v0.1.0",
	Doc: markdown(`
In IPVS mode kube-proxy sets four settings of the kernel's virtual server when it starts. Who changes one later breaks what kube-proxy relies on.

**What breaks.**

- ~conntrack~ 0: packets that IPVS forwards have no entry of connection tracking, so they are not masqueraded, and answers from backends on other
  nodes take another way back.
- ~expire_nodest_conn~ 0: connections to a backend that is gone hang instead of being reset; UDP goes on being sent to it.
- ~expire_quiescent_template~ 0: with session affinity a client stays with a backend that has weight 0 or is gone.
- ~conn_reuse_mode~ 1 on kernels from 4.1 to 5.8: a client that uses a source port again waits a second for its connection.

**How it is seen.** DNS fails for a while after a CoreDNS pod was replaced; a second's delay under load; Services work from the backends' own
nodes only. ~sysctl net.ipv4.vs~ shows the values.

**Why.** ~NewProxier~ of pkg/proxy/ipvs/proxier.go writes them once and does not look again. From Linux 5.9 on ~conn_reuse_mode~ is left alone, because
the delay is gone (f0a5e4d7a594, 35dfb013149f; kubernetes#93297), and before 5.16 a 0 there also switches ~expire_nodest_conn~ off.

**Fix.** Write kube-proxy's value; undo writes the old one back. Then find the other writer: a file of sysctl.d, tuned, a start script.

**Cost.** ~conntrack~ 1 gives each forwarded connection an entry in the connection-tracking table. With the ~expire~ settings connections to backends
that are gone end at once, as they should.

**When it is no fault.** The mode is not IPVS; kube-proxy began less than two minutes ago; the kernel has no such setting. ~conn_reuse_mode~ on a
kernel from 5.9 on, or on one of a distribution whose number says less than it has.
`),
	Needs:         []facts.Kind{facts.KindSysctls, facts.KindProxy},
	Wants:         []facts.Kind{facts.KindAgents, facts.KindLinks, facts.KindSysctlFiles},
	Severity:      check.Warning,
	NotApplicable: notIPVS,
	Run:           runIPVSSysctls,
}

func runIPVSSysctls(s *facts.Snapshot) (out []check.Finding) {
	for _, set := range []struct{ name, want, breaks string }{
		{"conntrack", "1", "what IPVS forwards is not masqueraded"},
		{"expire_nodest_conn", "1", "connections to backends that are gone hang"},
		{"expire_quiescent_template", "1", "clients with session affinity stay with backends that are gone"},
		{"conn_reuse_mode", "0", "a connection from a port that is used again waits a second"},
	} {
		key := "net/ipv4/vs/" + set.name
		got, known := s.Host.Sysctls[key]
		if !known || got == set.want || set.name == "conn_reuse_mode" && !reuseModeMatters(s.Node.Kernel) {
			continue
		}
		on := facts.Ref{NetNS: s.Host.Inode, Name: dotted(key)}
		f := check.Finding{
			Severity: check.Warning, On: on, Message: fmt.Sprintf("%s is %s, and kube-proxy set it to %s: %s", dotted(key), got, set.want, set.breaks),
			Evidence: append([]check.Evidence{{Fact: dotted(key), Got: got, Want: set.want}}, setAtBoot(s, key, set.want)...),
			Fixes: []fix.Fix{{
				Title: "set it to what kube-proxy set", Cost: "the program that changed it may do so again",
				Changes: []fix.Change{{Knob: fix.Sysctl(key), On: on, From: got, To: set.want}},
			}},
		}
		f.Evidence = append(f.Evidence, proxyEvidence(s)...)
		out = append(out, f)
	}
	return out
}

// reuseModeMatters says whether the kernel is surely one of those for which kube-proxy sets conn_reuse_mode: from 4.1 to 5.8, by its own number.
func reuseModeMatters(release string) bool {
	v, exact, ok := parseRelease(release)
	return ok && exact && !v.less(version{4, 1, 0}) && v.less(version{5, 9, 0})
}
