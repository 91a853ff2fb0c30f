package checks

import (
	"fmt"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/services"
)

// hintsUnheeded tells of a kube-proxy that takes the endpoints of all zones.
func hintsUnheeded(s *facts.Snapshot, list []services.Difference) check.Finding {
	zone := s.Intent.Cluster.Node.Zone
	var names []string
	for i := range list {
		names = append(names, serviceOf(list[i].Path()))
	}
	slices.Sort(names)
	f := check.Finding{
		ByTruth: true, Severity: check.Warning, On: facts.Ref{NetNS: s.Host.Inode, Name: "hints for zone " + zone},
		Message: fmt.Sprintf("kube-proxy does not heed hints for this node's zone, %s: connections to %s go to other zones too", zone, someNames(names)),
		Fixes: []fix.Fix{{
			Title: "restart kube-proxy, which then hears of its node's zone",
			Cost:  "established connections stay; connections go to fewer endpoints, those of the zone",
			Advice: []string{
				showProxyPod(s),
				"kubectl -n kube-system delete pod THAT-POD  # again, if this finding stays: it may miss the zone once more",
			},
		}},
	}
	for _, d := range list[:min(len(list), 3)] {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "backends of " + frontend(d.Path()), Got: outcomeOrNone(d.Held), Want: outcomeOrNone(d.Want)})
	}
	f.Evidence = append(f.Evidence, truthEvidence(s))
	f.Evidence = append(f.Evidence, proxyEvidence(s)...)
	return f
}

// outcomeOrNone is outcome of a path that may not be there.
func outcomeOrNone(p *facts.ServicePath) string {
	if p == nil {
		return "no rules"
	}
	return outcome(p)
}
