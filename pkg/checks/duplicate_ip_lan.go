package checks

import (
	"fmt"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// DuplicateIPLAN finds pods whose address somebody else on their link has as well.
var DuplicateIPLAN = &check.Check{
	Name:  "duplicate-ip-lan",
	Title: "Somebody else on the pod's link has the pod's address",
	Since: "v0.1.0",
	Doc: markdown(`
The pod's link is asked who has its addresses, by three questions 30 ms apart. For IPv4 they are ARP probes (RFC 5227 section 2.1.1), for IPv6 the neighbour solicitations of duplicate
address detection (RFC 4862 section 5.4.3). Neither names the pod as the holder, so nobody's neighbour cache learns anything from them. The CNI plugin asks
where its configuration says ~detectConflict: true~; it adds a tenth of a second to the start of each pod.

**How it is seen.** The pod, or the other holder, is reachable now and then; connections are reset; ~arping~ shows two MACs. It comes with addresses from a range that others use too: macvlan
and bridges on a LAN, a second DHCP server, two nodes with the same pod CIDR on one segment.

**Why.** An answer from a MAC that is not the pod's own. Critical: the same holder answered more than once. Warning: it answered once, which a machine that has just left the address may do.

**Fix.** By hand: find the other holder by its MAC, and give one of the two another address or range; then delete the pod. There is nothing to undo.

**Cost.** The pod, or the other machine, is made again with another address.

**When it is no fault.** A virtual address that two machines share on purpose (VRRP): switch the probes off there. The node's own answers for its addresses are told by duplicate-ip-local. A node with
proxy_arp does not answer probes (arp_process of net/ipv4/arp.c).
`),
	Needs:    []facts.Kind{facts.KindPods, facts.KindPodLinks},
	Pods:     true,
	Severity: check.Critical,
	NotApplicable: func(s *facts.Snapshot) string {
		for i := range s.Pods {
			if s.Pods[i].Probes != nil {
				return ""
			}
		}
		return "no link was asked for its addresses"
	},
	Run: func(s *facts.Snapshot) []check.Finding {
		var out []check.Finding
		for _, p := range readablePods(s, facts.KindPodLinks) {
			for _, probe := range p.Probes {
				if f, found := otherHolder(p, probe); found {
					out = append(out, f)
				}
			}
		}
		return out
	},
}

func otherHolder(p *facts.Namespace, probe facts.Probe) (f check.Finding, found bool) {
	l := p.Link(probe.Link)
	if l == nil {
		return f, false
	}
	for _, h := range probe.Holders {
		if h.MAC == l.MAC || h.MAC == "" || h.Answers == 0 {
			continue
		}
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "answers for " + probe.IP.String(), Got: fmt.Sprintf("%d of %d, from %s", h.Answers, probe.Sent, h.MAC), Want: "none"})
		f.Severity = max(f.Severity, check.Warning)
		if h.Answers > 1 {
			f.Severity = check.Critical
		}
		if f.Message == "" {
			f.Message = fmt.Sprintf("%s of the pod is also the address of %s on the link of %s", probe.IP, h.MAC, l.Name)
		}
	}
	f.On = p.Ref(l)
	command := []string{"arping", "-D", "-c", "3", "-I", l.Name, probe.IP.String()}
	if probe.IP.Is6() {
		command = []string{"ndisc6", "-r", "3", probe.IP.String(), l.Name}
	}
	f.Fixes = []fix.Fix{{
		Title:  "find the other holder by its MAC, and give one of the two another address",
		Advice: []string{fix.Shell(p, command...) + "  # asks again", "ip neigh | grep MAC  # on nodes and routers of that network"},
	}}
	return f, f.Message != ""
}
