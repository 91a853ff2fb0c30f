package checks

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// oldTruth is how long ago the API server may have told what it wants, in seconds: kube-proxy, which has its own connection, may know more by now. To whoever
// follows it the API server says something each minute even where nothing changes (bookmarkFrequency of apiserver/pkg/storage/cacher).
const oldTruth = 150

// truthUnusable says why what the cluster wants cannot be compared with what the kernel holds; empty where it can.
func truthUnusable(s *facts.Snapshot) string {
	c, r := s.Intent.Cluster, s.ServiceRules
	switch {
	case c == nil:
		return "the cluster's Services are not known"
	case r == nil || r.Mode == "":
		return "nothing of kube-proxy is in the kernel"
	}
	return cmp.Or(tooOld(c), syncing(s))
}

// tooOld says why what was told is perhaps not so any more; empty where it is.
func tooOld(c *facts.Cluster) string {
	switch {
	case c.Source != facts.SourceAPI: // whoever gives a file answers for it
		return ""
	case c.Unheard != "":
		return fmt.Sprintf("%s; what it wanted is known from %d s ago", c.Unheard, c.Age)
	case c.Age > oldTruth:
		return fmt.Sprintf("the API server was heard %d s ago", c.Age)
	}
	return ""
}

// justChanged says whether kube-proxy may still be writing what is wanted of a Service, because that has just changed. Of rules that name no Service it is not known
// whose they are.
func justChanged(s *facts.Snapshot, service string) bool {
	most := int64(services.Writing(proxyConfig(s)).Seconds())
	return slices.ContainsFunc(s.Intent.Cluster.Recent, func(c facts.ServiceChange) bool {
		return c.Age <= most && (service == "" || c.Service == "" || c.Service == service)
	})
}

func proxyConfig(s *facts.Snapshot) *facts.ProxyConfig {
	if s.Proxy == nil {
		return nil
	}
	return s.Proxy.Config
}

// syncing says that kube-proxy is writing rules, or is about to; empty where it is at rest, or so late that it is stuck.
func syncing(s *facts.Snapshot) string {
	if s.Proxy == nil || s.Proxy.State == nil || !s.Proxy.State.Pending {
		return ""
	}
	late := int64(60)
	if c := s.Proxy.Config; c != nil {
		late = max(late, int64(2*c.SyncPeriod))
	}
	if s.Proxy.State.Queued > late {
		return ""
	}
	return fmt.Sprintf("kube-proxy has changes to write, queued %d s ago", s.Proxy.State.Queued)
}

// truth compares what the cluster wants with what the kernel holds; ok is false where that cannot be done. What differs because kube-proxy does not know its node's
// zone is told by zone: no connection is lost by it.
func truth(s *facts.Snapshot) (list, zone []services.Difference, ok bool) {
	if !s.Has(facts.KindServices) || !s.Has(facts.KindServiceRules) || truthUnusable(s) != "" {
		return nil, nil, false
	}
	c, o := s.Intent.Cluster, services.OptionsOf(s)
	list, zone = services.WithoutZone(c, o, s.ServiceRules, services.Compare(services.Want(c, o), s.ServiceRules))
	changed := func(d services.Difference) bool { return len(c.Recent) > 0 && justChanged(s, serviceOf(d.Path())) }
	return slices.DeleteFunc(list, changed), slices.DeleteFunc(zone, changed), true
}

// serviceOf is the Service of a path, without the port; empty where the kernel does not know it.
func serviceOf(p *facts.ServicePath) string {
	name, _, _ := strings.Cut(p.Name, ":")
	return name
}

// frontend writes where connections go: "10.96.0.1:443/tcp", "node port 30080/tcp".
func frontend(p *facts.ServicePath) string {
	text := fmt.Sprintf("node port %d/%s", p.Port, p.Protocol)
	switch {
	case p.VIP.IsValid():
		text = fmt.Sprintf("%s/%s", netip.AddrPortFrom(p.VIP, p.Port), p.Protocol)
	case p.Kind == facts.FrontHealth:
		text = fmt.Sprintf("health check port %d", p.Port)
	}
	switch p.Scope {
	case facts.ScopeOutside:
		text += " from outside"
	case facts.ScopeInside:
		text += " from this node and its pods"
	case facts.ScopeNode:
		text += " from this node"
	}
	return text
}

// someAddrs writes at most four addresses.
func someAddrs(list []netip.AddrPort) string {
	const most = 4
	var words []string
	for _, a := range list[:min(len(list), most)] {
		words = append(words, a.String())
	}
	if more := len(list) - most; more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	return strings.Join(words, ", ")
}

// someNames writes at most three names and says how many there are beside.
func someNames(names []string) string {
	names = slices.Compact(slices.Clone(names))
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// truthEvidence says who told what is wanted.
func truthEvidence(s *facts.Snapshot) check.Evidence {
	c := s.Intent.Cluster
	e := check.Evidence{Fact: "Services and EndpointSlices", Got: "by " + c.Source}
	if c.Age > 0 {
		e.Got += fmt.Sprintf(", %d s old", c.Age)
	}
	return e
}
