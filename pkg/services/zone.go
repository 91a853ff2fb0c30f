package services

import (
	"net/netip"

	"github.com/netmend/netmend/pkg/facts"
)

// WithoutZone tells apart what differs because kube-proxy does not know its node's zone: zone is empty unless all that it holds is as if the node had none, but
// for what is left. The list is of [Compare] with the same arguments.
//
// kube-proxy 1.34 and 1.35 miss the zone now and then when they start, and then for as long as they run: NodeTopologyConfig (pkg/proxy/config/config.go) may hear
// of the Node before the proxier has been registered with it, and tells of labels only when they change.
func WithoutZone(c *facts.Cluster, o Options, held *facts.ServiceRules, list []Difference) (left, zone []Difference) {
	if len(list) == 0 || o.Zone == "" || o.Doubts.Zone {
		return list, nil
	}
	o.Zone = ""
	left = Compare(Want(c, o), held)
	known, stay := differing(list), differing(left)
	for w := range stay {
		if !known[w] { // there the hints are followed
			return list, nil
		}
	}
	for _, d := range list {
		if !stay[wayOf(d.Path())] {
			zone = append(zone, d)
		}
	}
	if len(zone) == 0 {
		return list, nil
	}
	return left, zone
}

// wayKey names a way.
type wayKey struct {
	family          int
	vip             netip.Addr
	port            uint16
	protocol, scope string
	health          bool
}

func wayOf(p *facts.ServicePath) wayKey {
	return wayKey{p.Family, p.VIP, p.Port, p.Protocol, p.Scope, p.Kind == facts.FrontHealth}
}

func differing(list []Difference) map[wayKey]bool {
	out := make(map[wayKey]bool, len(list))
	for i := range list {
		out[wayOf(list[i].Path())] = true
	}
	return out
}
