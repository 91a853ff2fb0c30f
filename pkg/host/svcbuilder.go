package host

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// svcBuilder gathers the paths of one family.
type svcBuilder struct {
	family int
	trace  bool
	scope  facts.NodePortScope
	paths  []facts.ServicePath
	chunk  []facts.ServiceBackend // from which lists of backends are cut, so that there is not an allocation for each
	marks  string                 // the chain that marks what is to be masqueraded
	before []facts.AheadRule      // what packets meet before kube-proxy's rules
}

// svcPool is where a chain of endpoints leads.
type svcPool struct {
	backends []facts.ServiceBackend
	affinity uint32
	proto    uint8 // of its DNATs; 0: none
	hairpin  bool  // every backend is masqueraded when it calls itself
	masq     facts.Masquerade
	masqFor  svcFront // the one frontend that masq is for; the zero value: every one
	broken   []string
	unknown  string
	trace    []string
}

// maxBackendChunk is how many backends are allocated at once.
const maxBackendChunk = 4096

// take copies backends that are complete: in their order and without doubles.
func (b *svcBuilder) take(list []facts.ServiceBackend) []facts.ServiceBackend {
	slices.SortFunc(list, func(p, q facts.ServiceBackend) int { return p.Addr.Compare(q.Addr) })
	if len(list) == 0 {
		return nil
	}
	if cap(b.chunk)-len(b.chunk) < len(list) {
		b.chunk = make([]facts.ServiceBackend, 0, max(maxBackendChunk, len(list)))
	}
	from := len(b.chunk)
	b.chunk = append(b.chunk, list...)
	return b.chunk[from:len(b.chunk):len(b.chunk)]
}

// fill gives a path what its pool has for one frontend, which was masqueraded on the way there.
func (b *svcBuilder) fill(p *facts.ServicePath, pool *svcPool, front svcFront, masq facts.Masquerade) {
	p.Backends, p.Broken = pool.backends, pool.broken
	if p.Unknown == "" {
		p.Unknown = pool.unknown
	}
	if pool.proto != 0 && pool.proto != front.proto {
		p.Backends, p.Broken = nil, append(slices.Clone(pool.broken), "translation of "+svcProto(pool.proto)+" alone")
	}
	if len(p.Backends) == 0 {
		return
	}
	if f := pool.masqFor; !f.addr.IsValid() || f == front || f.port == 0 && f.addr == front.addr {
		masq |= pool.masq
	}
	if pool.hairpin {
		masq |= facts.MasqHairpin
	}
	p.Masquerade, p.Affinity = masq, pool.affinity
}

func (b *svcBuilder) add(p facts.ServicePath) {
	if p.Protocol != "" && p.Port != 0 {
		b.paths = append(b.paths, p)
	}
}

// link is a trace of one step; nil where nobody asked for it.
func (b *svcBuilder) link(chain, other string) []string {
	if !b.trace {
		return nil
	}
	if chain != "" {
		return []string{"chain " + chain}
	}
	return []string{other}
}

// breaks records a link that is missing on the way of every path that needs it.
func (b *svcBuilder) breaks(why string, needs func(p *facts.ServicePath) bool) {
	shared := []string{why}
	for i := range b.paths {
		p := &b.paths[i]
		switch {
		case !needs(p):
		case p.Broken == nil:
			p.Broken = shared
		default:
			p.Broken = append(slices.Clip(p.Broken), why)
		}
	}
}

// finish puts the paths in their order. Of two for the same frontend the first is met.
func (b *svcBuilder) finish() {
	facts.SortPaths(b.paths, nil)
	b.paths = slices.CompactFunc(b.paths, func(p, q facts.ServicePath) bool { return p.Front(&q) == 0 })
	slices.SortFunc(b.scope.Addresses, netip.Addr.Compare)
}

// sortPrefixes puts source ranges in their order.
func sortPrefixes(list []netip.Prefix) []netip.Prefix {
	for i := range list {
		list[i] = list[i].Masked()
	}
	slices.SortFunc(list, func(p, q netip.Prefix) int {
		return cmp.Or(p.Addr().Compare(q.Addr()), cmp.Compare(p.Bits(), q.Bits()))
	})
	return slices.Compact(list)
}
