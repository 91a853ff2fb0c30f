package host

import (
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// svcChains is what iptables and nftables mode have in common: chains that lead to chains of endpoints, which lead to one for each endpoint.
type svcChains struct {
	svcBuilder
	src       svcSource
	table     string
	endpoints string                       // begins the names of endpoints' chains
	remembers func(set, chain []byte) bool // whether a list of clients is that of an endpoint's chain
	pools     map[string]int32             // by chain: the index in list
	list      []svcPool
	poolName  string               // the chain of endpoints that is read
	takePool  func(*svcRule) error // takes a rule of it
	picks     []svcPick            // of it
	names     []byte               // their chains' names
	scratch   svcScratch
	ruled     []uint32 // how many rules the chains of endpoints have that were read last
}

func newSvcChains(src svcSource, family int, trace bool, table string) svcChains {
	return svcChains{svcBuilder: svcBuilder{family: family, trace: trace}, src: src, table: table, pools: map[string]int32{}}
}

// room makes room for the paths and pools of so many frontends.
func (x *svcChains) room(frontends int) {
	x.paths, x.list = slices.Grow(x.paths, frontends), slices.Grow(x.list, frontends)
	if len(x.pools) == 0 {
		x.pools = make(map[string]int32, frontends)
	}
}

// svcEntry is a rule that leads from a frontend to a chain.
type svcEntry struct {
	front   svcFront
	kind    string
	name    string
	chain   string
	unknown string
	before  facts.Masquerade // of a rule of its own for the same frontend, which kube-proxy wrote up to 1.23
}

// svcOuter is what a chain for connections from outside does: KUBE-EXT-, or KUBE-FW- in front of it.
type svcOuter struct {
	inside, scope     string // where connections from this node or its pods go; empty: where all go
	rest              string // where the others go; empty: nowhere
	masqAll, masqNode bool
	sources           []netip.Prefix
	unknown           string
	trace             []string
}

// external reads a chain for connections from outside: KUBE-EXT- or external-.
func (x *svcChains) external(chain string) (o svcOuter, err error) {
	pods, node := "", ""
	err = x.src.rules(x.table, chain, func(r *svcRule) error {
		bare := r.bare()
		onlyNode := r.has == matchSrcLocal && !r.src.set() && !r.dst.set() && r.proto == 0 && !r.hasPort
		onlyPods := (r.src.set() && !r.src.negated && r.has == 0 || r.has == matchLink && !r.linkNot && !r.src.set()) && !r.dst.set() && r.proto == 0 && !r.hasPort
		target := string(r.target)
		switch {
		case r.verdict == svcNone || o.rest != "":
		case r.unknown != "" || !r.jumps():
			o.unknown = chain + ": " + firstOf(r.unknown, "a rule that is not kube-proxy's")
		case target == x.marks && bare:
			o.masqAll = true
		case target == x.marks && onlyNode:
			o.masqNode = true
		case bare:
			o.rest = target
		case onlyNode:
			node = target
		case onlyPods:
			pods = target
		default:
			o.unknown = chain + ": a rule that is not kube-proxy's"
		}
		return nil
	})
	switch {
	case node == "" && pods == "":
	case node != "" && pods == "":
		o.inside, o.scope = node, facts.ScopeNode
	case node == pods:
		o.inside, o.scope = node, facts.ScopeInside
	default:
		o.inside, o.scope = pods, facts.ScopeInside
		o.unknown = firstOf(o.unknown, chain+": pods and the node go different ways")
	}
	return o, err
}

// svcPoolReader reads a chain of endpoints.
type svcPoolReader func(chain string) (*svcPool, error)

// ways adds the paths of a frontend.
func (x *svcChains) ways(e *svcEntry, outer *svcOuter, link []string, read svcPoolReader) error {
	outer.unknown = firstOf(outer.unknown, e.unknown)
	if outer.inside != "" {
		if err := x.way(e, outer, link, outer.scope, outer.inside, read); err != nil {
			return err
		}
		return x.way(e, outer, link, facts.ScopeOutside, outer.rest, read)
	}
	return x.way(e, outer, link, "", outer.rest, read)
}

// way adds the path of one scope of a frontend, which goes on in a chain; an empty one is none.
func (x *svcChains) way(e *svcEntry, outer *svcOuter, link []string, scope, chain string, read svcPoolReader) error {
	p := facts.ServicePath{
		Name: e.name, Kind: e.kind, Scope: scope, Family: x.family, VIP: e.front.addr, Port: e.front.port, Protocol: svcProto(e.front.proto),
		Sources: outer.sources, Unknown: outer.unknown,
	}
	if chain == "" {
		p.Broken, p.Trace = []string{e.chain}, link
		x.add(p)
		return nil
	}
	pool, err := read(chain)
	if err != nil {
		return err
	}
	masq := e.before
	if outer.masqAll {
		masq = facts.MasqAll
	} else if outer.masqNode && scope != facts.ScopeOutside {
		masq |= facts.MasqNode
	}
	x.fill(&p, pool, e.front, masq)
	if x.trace {
		p.Trace = append(append(p.Trace, link...), pool.trace...)
	}
	x.add(p)
	return nil
}
