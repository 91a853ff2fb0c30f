package host

import (
	"bytes"
	"math"
	"net/netip"

	"github.com/netmend/netmend/pkg/facts"
)

// svcEnd is what an endpoint's chain does.
type svcEnd struct {
	addr      netip.AddrPort // invalid: it translates nothing
	proto     uint8
	hairpin   bool
	remembers bool
	rules     uint32 // how many the chain has
	unknown   string
}

// svcScratch is what is used again for each of tens of thousands of chains.
type svcScratch struct {
	chain  []byte // the endpoint's chain that is read
	end    svcEnd
	own    netip.Addr // the source that the chain masquerades
	list   []facts.ServiceBackend
	shares []float64
	take   func(*svcRule) error // takeEnd
}

// ends reads the endpoints' chains that were picked.
func (x *svcChains) ends(p *svcPool, chain string) error {
	var sticky map[string]uint32
	forgetful := false
	list, shares := x.scratch.list[:0], x.scratch.shares[:0]
	x.ruled = x.ruled[:0]
	p.hairpin = true
	for _, pick := range x.picks {
		name := x.names[pick.from:pick.to]
		if pick.sticky {
			if sticky == nil {
				sticky = map[string]uint32{}
			}
			sticky[string(name)] = pick.seconds
			continue
		}
		end, err := x.end(name)
		if err != nil {
			return err
		}
		x.ruled = append(x.ruled, end.rules)
		if end.unknown != "" {
			p.unknown = firstOf(p.unknown, end.unknown)
		}
		if !end.addr.IsValid() {
			p.broken = append(p.broken, string(name))
			continue
		}
		if p.proto == 0 {
			p.proto = end.proto
		} else if p.proto != end.proto {
			p.unknown = firstOf(p.unknown, chain+": endpoints of several protocols")
		}
		p.hairpin = p.hairpin && end.hairpin
		seconds, ok := sticky[string(name)]
		switch {
		case !ok || !end.remembers:
			forgetful = true
		case p.affinity != 0 && p.affinity != seconds:
			p.unknown = firstOf(p.unknown, chain+": several times of session affinity")
		default:
			p.affinity = seconds
		}
		if x.trace {
			p.trace = append(p.trace, "chain "+string(name)+" to "+end.addr.String())
		}
		list, shares = append(list, facts.ServiceBackend{Addr: end.addr}), append(shares, pick.share)
	}
	if forgetful && p.affinity != 0 {
		p.affinity = 0
		p.broken = append(p.broken, "session affinity of "+chain)
	}
	x.scratch.list, x.scratch.shares = list, shares
	p.backends = x.take(weigh(list, shares))
	return nil
}

// weigh joins backends that occur twice and gives them their weights: 1 where all shares are equal but for rounding, else thousandths.
func weigh(list []facts.ServiceBackend, shares []float64) []facts.ServiceBackend {
	if len(list) > 1 {
		list, shares = joined(list, shares)
	}
	equal := true
	for _, s := range shares {
		equal = equal && s > 0 && math.Abs(s-shares[0]) <= 0.01*shares[0]
	}
	for i, s := range shares {
		switch {
		case equal:
			list[i].Weight = 1
		case s > 0:
			list[i].Weight = max(1, uint32(math.Round(1000*s)))
		}
	}
	return list
}

func joined(list []facts.ServiceBackend, shares []float64) ([]facts.ServiceBackend, []float64) {
	seen := map[netip.AddrPort]int{}
	if len(list) <= 8 { // as almost always, and without a map
		seen = nil
	}
	find := func(i int) (int, bool) {
		if seen != nil {
			j, ok := seen[list[i].Addr]
			return j, ok
		}
		for j := range i {
			if list[j].Addr == list[i].Addr {
				return j, true
			}
		}
		return 0, false
	}
	n := 0
	for i := range list {
		if j, ok := find(i); ok && j < n {
			shares[j] += shares[i]
			continue
		}
		list[n], shares[n] = list[i], shares[i]
		if seen != nil {
			seen[list[n].Addr] = n
		}
		n++
	}
	return list[:n], shares[:n]
}

// end reads an endpoint's chain: KUBE-SEP- or endpoint-. What it gives is valid until the next call.
func (x *svcChains) end(chain []byte) (*svcEnd, error) {
	e := &x.scratch.end
	*e = svcEnd{}
	if !bytes.HasPrefix(chain, []byte(x.endpoints)) {
		e.unknown = "it leads to " + string(chain) + ", which is not kube-proxy's"
		return e, nil
	}
	x.scratch.chain, x.scratch.own = chain, netip.Addr{}
	if x.scratch.take == nil {
		x.scratch.take = x.takeEnd
	}
	return e, x.src.named(x.table, chain, x.scratch.take)
}

// takeEnd takes a rule of an endpoint's chain.
func (x *svcChains) takeEnd(r *svcRule) error {
	e, chain := &x.scratch.end, x.scratch.chain
	self := x.remembers(r.recentName, chain)
	plain := !r.dst.set() && !r.hasPort && r.only(0)
	host, one := r.src.host()
	e.rules++
	switch {
	case e.addr.IsValid():
	case r.unknown != "" && r.verdict != svcNone || !plain:
		e.unknown = string(chain) + ": " + firstOf(r.unknown, "a rule that is not kube-proxy's")
	case r.recent&recentSet != 0 && !self:
		e.unknown = string(chain) + ": a list of clients of another chain"
	case r.verdict == svcNone:
		e.remembers = e.remembers || r.recent&recentSet != 0
	case r.jumps() && string(r.target) == x.marks && one && r.proto == 0:
		x.scratch.own = host
	case r.verdict == svcDNAT && !r.src.set():
		e.addr, e.proto, e.hairpin = r.dnat, r.proto, x.scratch.own == r.dnat.Addr()
		e.remembers = e.remembers || r.recent&recentSet != 0
	default:
		e.unknown = string(chain) + ": a rule that is not kube-proxy's"
	}
	return nil
}
