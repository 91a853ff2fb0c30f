package checks

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/services"
)

// IPVSDeadBackends finds virtual servers whose backends get no connections.
var IPVSDeadBackends = &check.Check{
	Name:  "ipvs-dead-backends",
	Title: "A virtual server gives connections to none, or not to all, of its backends",
	Since: "v0.1.0",
	Doc: markdown(`
In IPVS mode a Service is a virtual server, and each endpoint a destination with weight 1. A destination with weight 0 gets no new connections;
a virtual server whose destinations all have weight 0, or which has none, refuses them.

**What breaks.** With all weights at 0 the Service is down on this node and fine on others. With some at 0 the rest have more to do, and nobody
notices until they are too few.

**How it is seen.** ~ipvsadm -Ln~ shows ~0~ under Weight. Connections from pods of this node are refused at once. Typical causes: somebody drained a
backend by hand; kube-proxy was killed while it drained an endpoint that came back (it resets weights only when it starts).

**Why.** kube-proxy takes an endpoint away in two steps: weight 0 while connections last, at most 15 minutes, then it deletes the destination
(pkg/proxy/ipvs/graceful_termination.go). While it runs it does not look at the weights of endpoints that it knows (~syncEndpoint~ of
pkg/proxy/ipvs/proxier.go), so a weight that somebody else set stays.

Where the cluster's Services are known, a destination with weight 0 that should have connections is a warning, and critical where no other has
weight. Where they are not, a server all of whose destinations have weight 0 is only worth knowing: its Service may have just been scaled to
nothing.

**Fix.** Restart kube-proxy: it resets the weights when it starts. Or by hand, ~ipvsadm -e -t ADDRESS:PORT -r BACKEND -m -w 1~; the undo is the same
with ~-w 0~.

**When it is no fault.** The endpoint terminates or was removed and is being drained; a Service without endpoints, whose virtual server has no
destination. The mode is not IPVS. Virtual servers of others, such as keepalived, where the Services are known.
`),
	Needs:         []facts.Kind{facts.KindIPVS, facts.KindProxy},
	Wants:         []facts.Kind{facts.KindServices, facts.KindServiceRules, facts.KindAgents, facts.KindLinks, facts.KindAddresses},
	Severity:      check.Critical,
	Settle:        time.Minute,
	NotApplicable: notIPVS,
	Run:           runIPVSDeadBackends,
}

// notIPVS says why there is nothing of kube-proxy's IPVS mode to judge.
func notIPVS(s *facts.Snapshot) string {
	if why := servicesElsewhere(s); why != "" {
		return why
	}
	if s.Proxy == nil || s.Proxy.Mode != facts.ModeIPVS {
		return "kube-proxy does not run in ipvs mode"
	}
	return ""
}

func runIPVSDeadBackends(s *facts.Snapshot) []check.Finding {
	if list, _, ok := truth(s); ok {
		return deadByTruth(s, list)
	}
	if s.Host.IPVS == nil {
		return nil
	}
	var dead []string
	var evidence []check.Evidence
	for _, v := range s.Host.IPVS.Servers {
		if len(v.Dests) == 0 || alive(v) {
			continue
		}
		name := fmt.Sprintf("%s/%s", netip.AddrPortFrom(v.VIP, v.Port), v.Protocol)
		dead = append(dead, name)
		evidence = append(evidence, check.Evidence{Fact: "destinations of " + name, Got: fmt.Sprintf("%d, all with weight 0", len(v.Dests)), Want: "one with weight"})
	}
	if len(dead) == 0 {
		return nil
	}
	return []check.Finding{{
		Severity: check.Info, On: facts.Ref{NetNS: s.Host.Inode, Name: "ipvs"}, Evidence: evidence[:min(len(evidence), 12)],
		Message: fmt.Sprintf("no destination of %s has weight: either its Service has no endpoints any more, or it is down on this node", someNames(dead)),
		Fixes:   []fix.Fix{resetWeights(s)},
	}}
}

func alive(v facts.IPVSServer) bool {
	for _, d := range v.Dests {
		if d.Weight > 0 {
			return true
		}
	}
	return false
}

func deadByTruth(s *facts.Snapshot, list []services.Difference) (out []check.Finding) {
	for i := range list {
		d := &list[i]
		if len(d.Dead) == 0 {
			continue
		}
		f := check.Finding{
			ByTruth: true, Severity: check.Warning, On: facts.Ref{NetNS: s.Host.Inode, Name: cmp.Or(d.Want.Name, frontend(d.Want))}, Fixes: []fix.Fix{resetWeights(s)},
			Message:  fmt.Sprintf("%s at %s gives no connections to %s: the weight is 0", d.Want.Name, frontend(d.Want), someAddrs(d.Dead)),
			Evidence: []check.Evidence{{Fact: "destinations with weight", Got: outcome(d.Held), Want: outcome(d.Want)}, truthEvidence(s)},
		}
		if len(d.Missing) == len(d.Want.Backends) {
			f.Severity = check.Critical
			f.Message = fmt.Sprintf("%s at %s is down on this node: no destination has weight", d.Want.Name, frontend(d.Want))
		}
		if out = append(out, f); len(out) == mostServices {
			break
		}
	}
	return out
}

func resetWeights(s *facts.Snapshot) fix.Fix {
	return fix.Fix{
		Title: "have kube-proxy reset the weights, which it does when it starts",
		Cost:  "established connections stay",
		Advice: []string{
			fix.Shell(&s.Host, "ipvsadm", "-Ln") + "  # the weights as they are",
			showProxyPod(s),
			"kubectl -n kube-system delete pod THAT-POD",
		},
	}
}
