package host

import (
	"math"

	"github.com/netmend/netmend/pkg/facts"
)

// svcPick is a rule of a chain of endpoints: it chooses one of them by chance, or because the client was there before.
type svcPick struct {
	from, to int // the name of the endpoint's chain among the names
	share    float64
	sticky   bool
	seconds  uint32
}

// probabilityOne is what xt_statistic takes for certain: it compares a random number of 31 bits.
const probabilityOne = 1 << 31

// pool reads a KUBE-SVC- or KUBE-SVL- chain.
func (x *svcIPTables) pool(chain string) (*svcPool, error) {
	if i, ok := x.pools[chain]; ok {
		return &x.list[i], nil
	}
	p := &x.pooled
	*p = svcPool{trace: x.link(chain, "")}
	x.picks, x.names = x.picks[:0], x.names[:0]
	x.poolName, x.left = chain, 1
	if err := x.src.rules("nat", chain, x.takePool); err != nil {
		return nil, err
	}
	if err := x.ends(p, chain); err != nil {
		return nil, err
	}
	if x.left > 1e-6 && p.unknown == "" {
		p.broken = append(p.broken, chain)
	}
	return x.keep(chain, *p), nil
}

// poolRule takes a rule of such a chain.
func (x *svcIPTables) poolRule(r *svcRule) error {
	if x.left > 0 && r.verdict != svcNone {
		x.left = x.pick(&x.pooled, x.poolName, r, x.left)
	}
	return nil
}

// keep remembers where a chain of endpoints leads. What it gives is valid until the next call.
func (x *svcChains) keep(chain string, p svcPool) *svcPool {
	x.list = append(x.list, p)
	x.pools[chain] = int32(len(x.list) - 1)
	return &x.list[len(x.list)-1]
}

// choose records that a rule leads to an endpoint's chain.
func (x *svcChains) choose(chain []byte, p svcPick) {
	p.from, p.to = len(x.names), len(x.names)+len(chain)
	x.names = append(x.names, chain...)
	x.picks = append(x.picks, p)
}

// pick takes one rule of the chain, and says what part of all connections it leaves to the next.
func (x *svcIPTables) pick(p *svcPool, chain string, r *svcRule, left float64) float64 {
	target := string(r.target)
	plain := !r.src.set() && !r.dst.set() && r.proto == 0 && !r.hasPort && r.only(matchRandom|matchClient)
	switch {
	case r.unknown != "" || !r.jumps():
		p.unknown = chain + ": " + firstOf(r.unknown, "a rule that is not kube-proxy's")
	case target == x.marks:
		x.poolMasq(p, chain, r)
	case !plain || r.recent&recentSet != 0:
		p.unknown = chain + ": a rule that is not kube-proxy's"
	case r.recent&recentCheck != 0:
		if r.has&matchRandom != 0 || string(r.recentName) != target {
			p.unknown = chain + ": a rule that is not kube-proxy's"
			return left
		}
		x.choose(r.target, svcPick{sticky: true, seconds: r.seconds})
	default:
		share := left
		if r.has&matchRandom != 0 {
			share *= math.Min(1, float64(r.probability)/probabilityOne)
		}
		x.choose(r.target, svcPick{share: share})
		if r.has&matchRandom == 0 {
			return 0
		}
		return left - share
	}
	return left
}

// poolMasq takes a rule that masquerades: the connections to the cluster IP that do not come from pods, or all of them.
func (x *svcChains) poolMasq(p *svcPool, chain string, r *svcRule) {
	dst, host := r.dst.host()
	linked := r.has&matchLink != 0
	odd := !r.only(matchLink) || r.recent != 0 || linked && !r.linkNot || r.src.set() && !r.src.negated || linked && r.src.set()
	if odd || r.dst.set() && !host || p.masq != 0 {
		p.unknown = chain + ": a rule that is not kube-proxy's"
		return
	}
	p.masq = facts.MasqAll
	if r.src.set() || linked {
		p.masq = facts.MasqOffCluster
	}
	if host {
		p.masqFor = svcFront{dst, r.port, r.proto}
	}
}
