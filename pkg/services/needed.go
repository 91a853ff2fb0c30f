package services

import (
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// The Services that pods on every node need, by the names that they have in every cluster and in most.
const (
	apiServer = "default/kubernetes"
	dns       = "kube-system/kube-dns"
)

// maxNeeded bounds [Needed]: each is looked up while a pod waits.
const maxNeeded = 16

// Needed are the ports of the Services that pods on every node need, as the cluster has them: those of its API server, of the DNS Service, and of whatever
// Service has an address that the node's own files gave, which is where kubelet sends its pods' questions.
func Needed(c *facts.Cluster, guessed []facts.ServiceIntent) (out []facts.ServiceIntent) {
	for i := range c.All {
		s := &c.All[i]
		if s.Name != apiServer && s.Name != dns && !slices.ContainsFunc(guessed, func(g facts.ServiceIntent) bool { return slices.Contains(s.ClusterIPs, g.VIP) }) {
			continue
		}
		for _, vip := range s.ClusterIPs {
			out = append(out, needed(s, vip)...)
		}
	}
	return out[:min(len(out), maxNeeded)]
}

func needed(s *facts.Service, vip netip.Addr) (out []facts.ServiceIntent) {
	for _, p := range s.Ports {
		if s.Name != apiServer && p.Port != 53 { // a DNS Service has a port for its metrics too
			continue
		}
		out = append(out, facts.ServiceIntent{Name: PortName(s.Name, p.Name), VIP: vip, Port: p.Port, Protocol: p.Protocol, Source: facts.SourceAPI})
	}
	return out
}
