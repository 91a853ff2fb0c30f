package checks

import (
	"fmt"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

const sysctlLiberal = "net/netfilter/nf_conntrack_tcp_be_liberal"

// ConntrackInvalidReset finds connections that are reset because a packet of theirs was not translated back.
var ConntrackInvalidReset = &check.Check{
	Name:  "conntrack-invalid-reset",
	Title: "Packets that connection tracking calls invalid reset connections",
	Since: "v0.1.0",
	Doc: markdown(`
A packet of a Service's connection that connection tracking thinks outside of the TCP window is INVALID. It is then not translated back, so the client
gets it with the backend's address instead of the Service's, knows no such connection, and answers with a reset. The backend drops its side.

**What breaks.** Long or fast transfers through Services end with ~connection reset by peer~, at random, more when packets are lost or come in another
order. Short requests work.

**How it is seen.** ~invalid~ of ~conntrack -S~ and ~Tcp: EstabResets~ of ~/proc/net/snmp~ rise together; a capture shows a segment from the pod's address
and then a RST.

**Why.** kubernetes#74839, #117924. kube-proxy drops INVALID packets in KUBE-FORWARD for that reason, but in iptables mode only where
~nf_conntrack_tcp_be_liberal~ is 0 when it **starts** (~conntrackTCPLiberal~ of pkg/proxy/iptables/proxier.go); its ipvs and nftables modes have no such
rule. So where the rule is missing and the setting is 0, nothing helps.

**Fix.** ~nf_conntrack_tcp_be_liberal~ 1: only resets outside of the window count as invalid. Undo writes 0. To last, set ~conntrack.tcpBeLiberal: true~ in
KubeProxyConfiguration, which kube-proxy writes when it starts.

**Cost.** Connection tracking no longer tells packets outside of the window, so a firewall on this node lets them through.

**When it is no fault.** Either counter rises by less than three, or less than once a minute: invalid packets alone are mostly scans and late answers, and resets alone are programs that end.
KUBE-FORWARD, or another chain of the forward hook, drops INVALID. A router or firewall whose rules rely on INVALID.
`),
	Needs:    []facts.Kind{facts.KindConntrack, facts.KindCounters, facts.KindSysctls, facts.KindProxy, facts.KindNFTables},
	Wants:    []facts.Kind{facts.KindLegacy, facts.KindAgents, facts.KindLinks, facts.KindSysctlFiles},
	Window:   check.NeedsWindow,
	Severity: check.Warning,
	NotApplicable: func(s *facts.Snapshot) string {
		if why := servicesElsewhere(s); why != "" {
			return why
		}
		if s.Proxy == nil || s.Proxy.Mode == "" {
			return "nothing of kube-proxy was found on this node"
		}
		return ""
	},
	Run: runConntrackInvalidReset,
}

func runConntrackInvalidReset(s *facts.Snapshot) []check.Finding {
	const counter = "Tcp.EstabResets"
	resets, known := delta(&s.Host, counter)
	value, set := s.Host.Sysctls[sysctlLiberal]
	if s.Host.Conntrack == nil || !known || !set || value != "0" || dropsInvalid(s) {
		return nil
	}
	invalid := s.Host.Conntrack.Delta["invalid"]
	const few = 3 // in a short window one of each proves nothing
	if invalid < few || resets < few || perMinute(s, invalid) < 1 || perMinute(s, resets) < 1 {
		return nil
	}
	on := facts.Ref{NetNS: s.Host.Inode, Name: dotted(sysctlLiberal)}
	return []check.Finding{{
		Severity: check.Warning, On: on,
		Message: fmt.Sprintf("%d packets were invalid and %d connections were reset %s, and nothing drops invalid packets", invalid, resets, during(s)),
		Evidence: append([]check.Evidence{
			{Fact: "conntrack invalid", Got: risen(s, invalid), Want: "+0"}, {Fact: counter, Got: risen(s, resets), Want: "+0"},
			{Fact: dotted(sysctlLiberal), Got: value, Want: "1, or a rule that drops INVALID"}, {Fact: "rule of KUBE-FORWARD that drops INVALID", Got: "none"},
		}, setAtBoot(s, sysctlLiberal, "1")...),
		Fixes: []fix.Fix{{
			Title: "take packets outside of the window for valid", Cost: "a firewall on this node lets such packets through",
			Changes: []fix.Change{{Knob: fix.Sysctl(sysctlLiberal), On: on, From: value, To: "1"}},
		}},
	}}
}

// dropsInvalid says whether any rule that is known drops INVALID packets, in whatever chain. One that is not understood may do so too.
func dropsInvalid(s *facts.Snapshot) bool {
	for i := range s.Host.Tables {
		for j := range s.Host.Tables[i].Chains {
			for _, r := range s.Host.Tables[i].Chains[j].Rules {
				if r.Verdict == "drop" && slices.Contains(r.CTState, "invalid") {
					return true
				}
			}
		}
	}
	return false
}
