package host

import (
	"slices"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// firewalled reads what drops the connections that a load balancer's source ranges do not let in. A chain KUBE-FW- of nat only leaves them untranslated: without a
// rule in filter's KUBE-PROXY-FIREWALL, for which Kubernetes 1.25 gave up a mark, they go on to whoever has the address.
func (x *svcIPTables) firewalled() error {
	drops, met := map[svcFront]string{}, map[svcFront]bool{}
	err := x.src.rules("filter", services.ChainProxyFirewall, func(r *svcRule) error {
		if front, ok := r.front(); ok && r.verdict == svcDrop && r.unknown == "" {
			drops[front] = svcName(r.comment)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var missing []string
	asked := false
	for i := range x.paths {
		p := &x.paths[i]
		if len(drops) == 0 && len(p.Sources) == 0 {
			continue
		}
		front := svcFront{p.VIP, p.Port, protoNumber(p.Protocol)}
		_, dropped := drops[front]
		if dropped {
			met[front] = true
		}
		if len(p.Sources) == 0 || len(p.Backends) == 0 {
			continue
		}
		if !asked {
			asked = true
			if missing, err = x.firewallWays(); err != nil {
				return err
			}
		}
		lost := missing
		if !dropped {
			lost = []string{"filter " + services.ChainProxyFirewall}
		}
		if len(lost) > 0 {
			p.Broken = append(slices.Clip(p.Broken), lost...)
		}
		if x.trace {
			p.Trace = append(p.Trace, "filter "+services.ChainProxyFirewall)
		}
	}
	for front, name := range drops {
		if met[front] {
			continue
		}
		// The Service is gone.
		x.add(facts.ServicePath{Name: name, Kind: facts.FrontLoadBalancer, Family: x.family, VIP: front.addr, Port: front.port, Protocol: svcProto(front.proto),
			Verdict: facts.VerdictDrop, Trace: x.link("", "filter "+services.ChainProxyFirewall)})
	}
	return nil
}

// firewallWays lists the ways into KUBE-PROXY-FIREWALL that are missing.
func (x *svcIPTables) firewallWays() (missing []string, err error) {
	for _, base := range [...]string{"FORWARD", "INPUT", "OUTPUT"} {
		leads := false
		err := x.src.rules("filter", base, func(r *svcRule) error {
			leads = leads || r.jumps() && string(r.target) == services.ChainProxyFirewall && r.unknown == ""
			return nil
		})
		if err != nil {
			return nil, err
		}
		if !leads {
			missing = append(missing, "filter "+base+" to "+services.ChainProxyFirewall)
		}
	}
	return missing, nil
}
