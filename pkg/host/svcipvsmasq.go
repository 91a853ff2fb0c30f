package host

import (
	"strings"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// ipvsMasq is what the rules of one family do with members of sets.
type ipvsMasq struct {
	cluster      facts.Masquerade
	balancer     bool // members of the set LOAD-BALANCER are masqueraded
	balancerSkip bool // but for those of LOAD-BALANCER-LOCAL
	external     bool
	ports, skips map[string]bool // by protocol: node ports that are masqueraded, and that those of policy Local are not
	ranges       bool            // source ranges are enforced
	health       bool
	unknown      string
}

// readIPVSMasq reads what the rules of one family do with members of kube-proxy's sets.
func readIPVSMasq(src svcSource, names map[uint16]string) (m ipvsMasq, err error) {
	m.ports, m.skips = map[string]bool{}, map[string]bool{}
	masq := func(r *svcRule) bool { return r.jumps() && string(r.target) == services.ChainMarkMasq }
	balances, marks, ranged := false, false, false
	for _, c := range []struct {
		table, chain string
		take         func(r *svcRule, set string, dirs uint8)
	}{
		{"nat", services.ChainServices, func(r *svcRule, set string, dirs uint8) {
			switch {
			case set == setClusterIP && masq(r) && dirs == 0:
				m.cluster = facts.MasqAll
				if r.src.negated || r.linkNot {
					m.cluster = facts.MasqOffCluster
				}
			case set == setClusterIP && masq(r) && dirs == 2: // source, destination: the node's own, which come from a virtual IP
				m.cluster = facts.MasqNode
			case set == setExternal && masq(r) && dirs == 0:
				m.external = true
			case set == setBalancer && dirs == 0 && r.jumps() && string(r.target) == ipvsLoadBalancerChain:
				balances = true
			}
		}},
		{"nat", ipvsLoadBalancerChain, func(r *svcRule, set string, dirs uint8) {
			switch {
			case set == setBalancerLocal && r.verdict == svcReturn && !marks:
				m.balancerSkip = true
			case set == "" && masq(r) && r.bare():
				marks = true
			}
		}},
		{"nat", ipvsNodePortChain, func(r *svcRule, set string, _ uint8) {
			local, isLocal := strings.CutPrefix(set, setNodePortLocal)
			all, isAll := strings.CutPrefix(set, setNodePort)
			switch {
			case isLocal && r.verdict == svcReturn && !m.ports[local]:
				m.skips[local] = true
			case isAll && masq(r):
				m.ports[all] = true
			}
		}},
		{"filter", ipvsRangesChain, func(r *svcRule, _ string, _ uint8) { ranged = ranged || r.verdict == svcDrop }},
		{"filter", services.ChainProxyFirewall, func(r *svcRule, set string, _ uint8) {
			m.ranges = m.ranges || set == setBalancerFW && r.jumps() && string(r.target) == ipvsRangesChain
		}},
		{"filter", ipvsNodePortChain, func(r *svcRule, set string, _ uint8) {
			m.health = m.health || set == setHealth && r.verdict == svcAccept
		}},
	} {
		err := src.rules(c.table, c.chain, func(r *svcRule) error {
			set := ""
			if r.has&matchMember != 0 {
				set, _ = ipvsSetName(names[r.member])
			}
			if r.unknown != "" && r.verdict != svcAccept && r.verdict != svcNone {
				m.unknown = firstOf(m.unknown, c.chain+": "+r.unknown)
				return nil
			}
			c.take(r, set, r.memberDirs)
			return nil
		})
		if err != nil {
			return m, err
		}
	}
	m.balancer, m.ranges = balances && marks, m.ranges && ranged
	return m, nil
}
