package host

import (
	"strings"

	"github.com/netmend/netmend/pkg/services"
)

// maxUnnamed is how many maps are read one by one because the endpoints that the cluster has are not in them, before the list of all chains is.
const maxUnnamed = 64

// many says whether there are too many maps to read them all. Whoever follows the links of a Service reads them.
func (x *svcNFTables) many() bool { return x.drawn > maxDrawn && !x.trace }

// poolRules takes the rules of a chain service- or local-, and where it will matter, says whether there is a chain local- beside a chain service-.
func (x *svcNFTables) poolRules(chain string) (local bool, err error) {
	name, ok := strings.CutPrefix(chain, services.NFTPrefixCluster)
	if !ok || !x.many() || x.likely == nil {
		return false, x.src.rules(x.table, chain, x.takePool)
	}
	x.asked[0] = append(x.asked[0][:0], chain...)
	x.asked[1] = append(append(x.asked[1][:0], services.NFTPrefixLocal...), name...)
	use, err := x.counting.rulesAnd(x.table, x.asked[0], x.asked[1], x.takePool)
	return use > 0, err
}

// told tells where a chain service- leads without reading its map, where there are too many maps to read them all.
func (x *svcNFTables) told(m *svcMapRule, chain string) (bool, error) {
	if x.likely != nil && x.uses == nil {
		if ok, err := x.named(m, chain); ok || err != nil {
			return ok, err
		}
		if x.unnamed++; x.unnamed <= maxUnnamed {
			return false, nil
		}
	}
	if x.uses == nil {
		if err := x.readUses(); err != nil {
			return false, err
		}
	}
	return x.counted(&m.pool, chain, m.modulus)
}

// named is counted for the endpoints that the cluster has for the Service: each of their chains is found by its name, whereas the kernel walks the list of all chains
// anew from its start for every 32 KiB of it, so that the time that list takes grows with its square. It does not see chains of other endpoints: that one of these
// has the place in the map and something else refers to an endpoint of the cluster instead takes a rule that kube-proxy does not write.
func (x *svcNFTables) named(m *svcMapRule, chain string) (bool, error) {
	name, ok := strings.CutPrefix(chain, services.NFTPrefixCluster)
	_, port, cut := strings.Cut(name, "-")
	if !ok || !cut || m.modulus == 0 || m.local {
		return false, nil
	}
	if x.likelyEnds = x.likely.Endpoints(x.likelyEnds[:0], port, x.family); uint64(len(x.likelyEnds)) != uint64(m.modulus) {
		return false, nil
	}
	for _, end := range x.likelyEnds {
		x.likelyName = x.likely.AppendName(x.likelyName[:0], port, end)
		x.choose(x.likelyName, svcPick{share: 1 / float64(m.modulus)})
	}
	src := x.src
	x.counting.uses, x.src = x.counting.uses[:0], &x.counting
	certain, err := x.referred(&m.pool, chain, &x.counting.uses)
	x.src = src
	return certain, err
}

// referred reads the chains that were picked, and says whether exactly one thing refers to each of them; uses, which may be filled meanwhile, are what
// the kernel tells of each: that and its rules.
func (x *svcNFTables) referred(p *svcPool, chain string, uses *[]uint32) (bool, error) {
	q := *p
	if err := x.ends(&q, chain); err != nil {
		return false, err
	}
	for i, rules := range x.ruled {
		if (*uses)[i] != rules+1 {
			x.picks, x.names = x.picks[:0], x.names[:0]
			return false, nil
		}
	}
	*p = q
	return true, nil
}
