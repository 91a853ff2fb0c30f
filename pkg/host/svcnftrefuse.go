package host

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// firewalls reads which frontends have source ranges, and those.
func (x *svcNFTables) firewalls() (map[svcFront]svcOuter, error) {
	elements, err := x.elements(services.MapFirewallIPs, svcKeyFront)
	if err != nil || elements.n == 0 {
		return nil, err
	}
	out := make(map[svcFront]svcOuter, elements.n)
	for e := range elements.all() {
		o, err := x.ranges(e.chain)
		if err != nil {
			return nil, err
		}
		out[e.front] = o
	}
	for _, base := range [...]string{"filter-prerouting-pre-dnat", "filter-output-pre-dnat"} {
		leads, err := x.some(base, func(r *svcRule) bool {
			return r.jumps() && string(r.target) == nftFirewallChain && r.unknown == ""
		})
		if err != nil {
			return nil, err
		}
		if !leads {
			x.lostRanges = append(x.lostRanges, base+" to "+nftFirewallChain)
		}
	}
	looks, err := x.some(nftFirewallChain, func(r *svcRule) bool {
		return r.unknown == "" && r.setVerdict && r.setKey == svcKeyFront && string(r.set) == services.MapFirewallIPs
	})
	if err == nil && !looks {
		x.lostRanges = append(x.lostRanges, nftFirewallChain+" to map "+services.MapFirewallIPs)
	}
	return out, err
}

// ranges reads a chain firewall-: a rule that drops what does not come from a set of sources.
func (x *svcNFTables) ranges(chain string) (o svcOuter, err error) {
	if o, ok := x.sources[chain]; ok {
		return o, nil
	}
	set := ""
	err = x.src.rules(x.table, chain, func(r *svcRule) error {
		switch {
		case r.verdict == svcNone:
		case r.unknown == "" && set == "" && r.verdict == svcDrop && r.setKey == svcKeySource && r.setNegated && !r.dst.set() && r.proto == 0 && !r.src.set() && r.only(matchSet):
			set = string(r.set)
		case r.unknown == "" && set == "" && o.sources == nil && r.verdict == svcDrop && r.src.set() && r.src.negated && !r.dst.set() && r.proto == 0 && r.only(0):
			o.sources = []netip.Prefix{r.src.prefix} // nft writes a set of one address without a set
		default:
			o.unknown = chain + ": " + firstOf(r.unknown, "a rule that is not kube-proxy's")
		}
		return nil
	})
	if err == nil && set != "" {
		o.sources, err = x.prefixes(set)
		if o.sources == nil {
			o.unknown = firstOf(o.unknown, chain+": a set that is not kube-proxy's")
		}
	}
	if err == nil {
		x.sources[chain] = o
	}
	return o, err
}

// prefixes reads a set of ranges of addresses: each starts with an element and ends before one that is marked so. nil where a range is no prefix.
func (x *svcNFTables) prefixes(set string) ([]netip.Prefix, error) {
	d := nftSetDecoder{head: nftSetHead{flags: unix.NFT_SET_INTERVAL, keyLen: 4}, ok: true}
	if x.proto == unix.NFPROTO_IPV6 {
		d.head.keyLen = 16
	}
	var cut error
	err := x.eachElement(set, func(e []byte) {
		if err := d.element(e); err != nil {
			cut = err
		}
	})
	if err == nil {
		err = cut
	}
	if err != nil {
		return nil, err
	}
	s := d.set()
	if s == nil {
		return nil, nil
	}
	var out []netip.Prefix
	for _, e := range s.elements {
		list := rangePrefixes(e.from, e.to)
		if list == nil {
			return nil, nil
		}
		out = append(out, list...)
	}
	return sortPrefixes(out), nil
}

// refused reads the frontends without endpoints. Those of cluster IPs are told from others by the set of those.
func (x *svcNFTables) refused(firewalled map[svcFront]svcOuter) error {
	for _, m := range [...]struct {
		set string
		key svcKey
	}{{services.MapNoEndpoints, svcKeyFront}, {services.MapNoEndpointPorts, svcKeyNodePort}} {
		elements, err := x.elements(m.set, m.key)
		if err != nil {
			return err
		}
		if elements.n == 0 {
			continue
		}
		missing, err := x.refusals(m.set, m.key)
		if err != nil {
			return err
		}
		cluster := map[netip.Addr]bool{}
		if m.key == svcKeyFront {
			list, err := x.elements(services.SetClusterIPs, svcKeyDest)
			if err != nil {
				return err
			}
			for e := range list.all() {
				cluster[e.front.addr] = true
			}
		}
		list := make([]svcRefusal, 0, elements.n)
		for e := range elements.all() {
			r := svcRefusal{svcEntry: svcEntry{front: e.front, name: e.name, kind: facts.FrontExternal}, link: "map " + m.set, missing: missing}
			switch {
			case m.key == svcKeyNodePort:
				r.kind = facts.FrontNodePort
			case cluster[e.front.addr]:
				r.kind = facts.FrontCluster
			}
			if f, ok := firewalled[e.front]; ok {
				r.kind, r.sources = facts.FrontLoadBalancer, f.sources
			}
			switch {
			case e.verdict == svcDrop:
				r.verdict = facts.VerdictDrop
			case e.chain == nftRejectChain:
				r.verdict = facts.VerdictReject
			default:
				r.unknown = "map " + m.set + ": an element that is not kube-proxy's"
			}
			list = append(list, r)
		}
		x.refuseAll(list)
	}
	return nil
}

func (x *svcNFTables) refusals(set string, key svcKey) ([]string, error) {
	chain, bases := "service-endpoints-check", []string{"filter-input", "filter-forward", "filter-output"}
	if key == svcKeyNodePort {
		chain, bases = "nodeport-endpoints-check", []string{"filter-input"}
	}
	var missing []string
	for _, base := range bases {
		if leads, err := x.some(base, func(r *svcRule) bool { return r.jumps() && string(r.target) == chain && r.unknown == "" }); err != nil {
			return nil, err
		} else if !leads {
			missing = append(missing, base+" to "+chain)
		}
	}
	looks, err := x.some(chain, func(r *svcRule) bool {
		return r.unknown == "" && (r.setVerdict && r.setKey == key && string(r.set) == set || string(r.ports) == set)
	})
	if err == nil && !looks {
		missing = append(missing, chain+" to map "+set)
	}
	return missing, err
}
