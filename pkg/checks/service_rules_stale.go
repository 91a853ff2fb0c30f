package checks

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/services"
)

// ServiceRulesStale finds Services whose rules on this node are not what the cluster wants.
var ServiceRulesStale = &check.Check{
	Name:  "service-rules-stale",
	Title: "A Service's rules on this node differ from what the cluster wants",
	Since: "v0.1.0",
	Doc: markdown(`
Rules that exist are not yet the right ones. A kube-proxy that is stuck, has lost its connection to the API server or fails to write leaves the
node with the backends of yesterday; a program that edits the same tables can change them behind its back.

**What breaks.** A backend whose pod is gone swallows a part of the Service's connections: one of five, if it has five. A backend that is missing
gets no connections, so the others have more. Rules of a Service that was deleted catch what its address or node port is used for today. A
Service that is still rejected for want of endpoints refuses connections though it has some again.

**How it is seen.** Some connections to a Service time out, from some nodes only, and a retry works. ~kubectl get endpointslices~ looks right.
The rules are compared as kube-proxy would make them now, in all three modes and in both families:

- endpoints that are ready; where none is, those that are terminating and still serve
- the traffic policies Local, for what comes from inside and from outside by itself
- hints for this zone or node, as trafficDistribution makes them
- cluster, external and load-balancer IPs (but not those of ipMode Proxy) and node ports, session affinity, source ranges, health check ports
- no rules for headless Services, for ExternalName, and for those with the label ~service.kubernetes.io/service-proxy-name~

In nftables mode the kernel takes long to look up one of very many maps. Where there are more than 512 ports of Services, their endpoints are told by
the references to their chains instead. That does not show two Services whose endpoints somebody has exchanged, as many for as many: an audit by
hand does not see it then. The daemon reads the maps of all rules that are new since it looked last, and 64 others at each change, and
~netmendctl service~ reads every map. kube-proxy itself never writes such rules.

The rules are those of pkg/proxy of Kubernetes 1.35 (~CategorizeEndpoints~, ~serviceToServiceMap~ and each mode's ~syncProxyRules~). Who is
masqueraded and where node ports are served depends on kube-proxy's configuration, which the running kube-proxy tells (~/configz~); without it
that is not compared.

A kube-proxy that does not know its node's zone takes the endpoints of all zones. Now and then one of 1.34 or 1.35 has not heard of it when it starts, and
never does (~NodeTopologyConfig~ of pkg/proxy/config/config.go). No connection is lost by that, so it is one warning, whatever the number of Services.

In iptables mode the rules that packets meet before kube-proxy's are read too, in the tables raw, mangle and nat. One that accepts or drops what
goes to a cluster IP, and asks for nothing but the destination, keeps the Service from working however right its rules are. Rules that
ask for more, that translate to somewhere else or that are not understood are no finding: ~netmendctl service~ names them. What a load balancer's
source ranges do not let in has to be dropped (~KUBE-PROXY-FIREWALL~; ~firewall-check~ in nftables mode).

It is critical where connections go to a backend that should have none, or are refused or dropped though there are backends, or never come to
kube-proxy's rules; else a warning.

**Fix.** kube-proxy has to write its rules anew: its log says what keeps it from that. A restart makes it write all of them; established
connections stay. In nftables mode its first sync leaves the chains of endpoints alone that exist (~epChainSkipUpdate~ of
pkg/proxy/nftables/proxier.go), so one that somebody has changed is put right only by the hourly full sync, or where its tables are deleted
before the restart. netmend does not write its rules. There is nothing to undo.

**When it is no fault.** kube-proxy has just been told and writes: its metrics say that a sync is queued, or the Service changed less than 15 seconds (and
two ~minSyncPeriod~) ago. It began less than two minutes ago; the API server does not answer, has answered again for less than a minute after a longer silence, or was
not heard for 150 seconds; the file with the Services is older than their last change; IPVS drains a backend that was removed,
with weight 0 (~ipvs-dead-backends~ tells of those that should work); two Services ask for the same address. Another program carries Services. The cluster IP is an address of the node, where a resolver of its own
answers (NodeLocal DNSCache), and the rule in front lets packets go there.
`),
	Needs:    []facts.Kind{facts.KindServices, facts.KindServiceRules, facts.KindProxy},
	Wants:    []facts.Kind{facts.KindAgents, facts.KindLinks, facts.KindAddresses},
	Severity: check.Critical,
	Settle:   30 * time.Second,
	NotApplicable: func(s *facts.Snapshot) string {
		return cmp.Or(servicesElsewhere(s), truthUnusable(s))
	},
	Run: runServiceRulesStale,
}

// mostServices bounds the findings: a node whose rules are all old has one cause.
const mostServices = 10

func runServiceRulesStale(s *facts.Snapshot) []check.Finding {
	list, zone, ok := truth(s)
	if !ok {
		return nil
	}
	byService := map[string][]services.Difference{}
	var names []string
	for _, d := range list {
		if notCarried(&d) || onlyDead(&d) {
			continue
		}
		name := cmp.Or(serviceOf(d.Path()), frontend(d.Path()))
		if byService[name] == nil {
			names = append(names, name)
		}
		byService[name] = append(byService[name], d)
	}
	slices.Sort(names)
	out := servicesCaught(s)
	if len(zone) > 0 {
		out = append(out, hintsUnheeded(s, zone))
	}
	told := len(out)
	for _, name := range names[:min(len(names), mostServices)] {
		out = append(out, staleService(s, name, byService[name]))
	}
	if rest := names[len(out)-told:]; len(rest) > 0 {
		f := check.Finding{
			ByTruth: true, Severity: check.Warning, On: facts.Ref{NetNS: s.Host.Inode, Name: "kube-proxy"},
			Message:  fmt.Sprintf("the rules of %d more Services differ too: %s", len(rest), someNames(rest)),
			Evidence: append([]check.Evidence{truthEvidence(s)}, proxyEvidence(s)...), Fixes: []fix.Fix{syncKubeProxy(s)},
		}
		for _, name := range rest {
			f.Severity = max(f.Severity, staleService(s, name, byService[name]).Severity)
		}
		out = append(out, f)
	}
	return out
}

// notCarried tells what service-rules-missing tells: a Service with endpoints whose connections nothing takes.
func notCarried(d *services.Difference) bool {
	return d.Want != nil && len(d.Want.Backends) > 0 && (d.Held == nil || len(d.Held.Backends) == 0 && d.Held.Verdict == "")
}

// onlyDead tells what ipvs-dead-backends tells.
func onlyDead(d *services.Difference) bool {
	return len(d.Dead) > 0 && len(d.Dead) == len(d.Missing) && len(d.Extra) == 0 && len(d.Fields) == 0
}

func staleService(s *facts.Snapshot, name string, list []services.Difference) check.Finding {
	f := check.Finding{ByTruth: true, Severity: check.Warning, On: facts.Ref{NetNS: s.Host.Inode, Name: name}, Fixes: []fix.Fix{syncKubeProxy(s)}}
	var extra, missing []netip.AddrPort
	var gone, other []string
	for i := range list {
		d := &list[i]
		what := frontend(d.Path())
		switch {
		case d.Want == nil:
			gone = append(gone, what)
			f.Evidence = append(f.Evidence, check.Evidence{Fact: what, Got: cmp.Or(someAddrs(d.Extra), outcome(d.Held)), Want: "no rules"})
			continue
		case d.Held == nil:
			other = append(other, what+" has no rules")
			f.Evidence = append(f.Evidence, check.Evidence{Fact: what, Got: "no rules", Want: outcome(d.Want)})
			continue
		}
		extra = append(extra, d.Extra...)
		missing = append(missing, slices.DeleteFunc(slices.Clone(d.Missing), func(a netip.AddrPort) bool { return slices.Contains(d.Dead, a) })...)
		if len(d.Extra)+len(d.Missing) > 0 {
			f.Evidence = append(f.Evidence, check.Evidence{Fact: "backends of " + what, Got: outcome(d.Held), Want: outcome(d.Want)})
		}
		if len(d.Held.Broken) > 0 {
			f.Evidence = append(f.Evidence, check.Evidence{Fact: "links of " + what + " that lead nowhere", Got: strings.Join(d.Held.Broken, ", "), Want: "none"})
		}
		for _, field := range d.Fields {
			if field.Name == "connections" {
				f.Severity = check.Critical
			}
			other = append(other, fmt.Sprintf("%s: %s is %s, not %s", what, field.Name, field.Got, field.Want))
			f.Evidence = append(f.Evidence, check.Evidence{Fact: field.Name + " of " + what, Got: field.Got, Want: field.Want})
		}
	}
	if len(extra) > 0 {
		f.Severity = check.Critical
	}
	f.Message = staleMessage(name, distinct(extra), distinct(missing), gone, other)
	const most = 12
	if more := len(f.Evidence) - most; more > 0 {
		f.Evidence = append(f.Evidence[:most], check.Evidence{Fact: "more differences", Got: fmt.Sprint(more)})
	}
	f.Evidence = append(f.Evidence, truthEvidence(s))
	f.Evidence = append(f.Evidence, proxyEvidence(s)...)
	return f
}

// staleMessage says the worst first.
func staleMessage(name string, extra, missing []netip.AddrPort, gone, other []string) string {
	var parts []string
	if len(extra) > 0 {
		parts = append(parts, "connections go to "+someAddrs(extra)+", which should have none")
	}
	if len(missing) > 0 {
		parts = append(parts, someAddrs(missing)+" should have connections and has none")
	}
	if len(gone) > 0 {
		parts = append(parts, "rules of "+someNames(gone)+" are still there")
	}
	if len(parts) == 0 && len(other) > 0 {
		parts = append(parts, other[0])
	}
	return name + ": " + strings.Join(parts, "; ")
}

func distinct(list []netip.AddrPort) []netip.AddrPort {
	slices.SortFunc(list, netip.AddrPort.Compare)
	return slices.Compact(list)
}

// outcome says where a path leads.
func outcome(p *facts.ServicePath) string {
	if len(p.Backends) == 0 {
		return cmp.Or(map[string]string{facts.VerdictReject: "rejected", facts.VerdictDrop: "dropped"}[p.Verdict], "nowhere")
	}
	var list []netip.AddrPort
	for _, b := range p.Backends {
		if b.Weight > 0 {
			list = append(list, b.Addr)
		}
	}
	return cmp.Or(someAddrs(list), "none with weight")
}

// showProxyPod is the command that shows kube-proxy's pod on the node.
func showProxyPod(s *facts.Snapshot) string {
	return fix.Shell(nil, "kubectl", "-n", "kube-system", "get", "pod", "-o", "wide", "-l", "k8s-app=kube-proxy", "--field-selector", "spec.nodeName="+nodeName(s))
}

// syncKubeProxy advises how to have kube-proxy write its rules.
func syncKubeProxy(s *facts.Snapshot) fix.Fix {
	x := fix.Fix{
		Title: "find out why kube-proxy does not write its rules, and have it write them all",
		Cost:  "established connections stay; new ones are carried by the old rules until kube-proxy has written the new ones",
		Advice: []string{
			showProxyPod(s),
			"kubectl -n kube-system logs THAT-POD  # what it could not write, or whether it lost the API server",
			"curl -s 127.0.0.1:10256/livez  # on the node",
			"kubectl -n kube-system delete pod THAT-POD  # a new one writes all rules when it starts",
		},
	}
	if s.Proxy != nil && s.Proxy.Mode == facts.ModeNFTables {
		last := &x.Advice[len(x.Advice)-1]
		*last = fix.Shell(&s.Host, "nft", "delete", "table", "ip", "kube-proxy") + "; " + fix.Shell(&s.Host, "nft", "delete", "table", "ip6", "kube-proxy") +
			"; kubectl -n kube-system delete pod THAT-POD  # a new one leaves the chains of endpoints alone that exist; until it has written, no Service works here"
	}
	return x
}
