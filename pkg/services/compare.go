package services

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// Difference is one way that is not as it must be. Either Want or Held is nil where the other has no counterpart.
type Difference struct {
	Want, Held *facts.ServicePath

	Missing []netip.AddrPort // backends that get no connections and should
	Extra   []netip.AddrPort // backends that get connections and should not
	Dead    []netip.AddrPort // of Missing, those that are there with weight 0 (IPVS)
	Fields  []Field          // whatever else differs
}

// Field is one property that differs.
type Field struct{ Name, Want, Got string }

// Path is what the difference is about, as it is wanted where it is.
func (d *Difference) Path() *facts.ServicePath {
	if d.Want != nil {
		return d.Want
	}
	return d.Held
}

// Carries says whether the held way takes connections anywhere: to a backend, or to the verdict that is wanted.
func (d *Difference) Carries() bool {
	return d.Held != nil && (len(d.Held.Backends) > 0 || d.Held.Verdict != "" || len(d.Held.Broken) == 0 && d.Held.Kind == facts.FrontHealth)
}

// Compare lists how the ways that a kernel holds differ from those that are wanted, family by family as far as they were read, in the order of the
// frontends. What is in doubt is left out.
func Compare(w *Wanted, held *facts.ServiceRules) []Difference {
	var out []Difference
	want, have := w.Rules.Paths, held.Paths
	if !slices.IsSortedFunc(have, byFront) {
		have = slices.SortedStableFunc(slices.Values(have), byFront)
	}
	for i, j := 0, 0; i < len(want) || j < len(have); {
		var first *facts.ServicePath
		switch {
		case j == len(have) || i < len(want) && address(&want[i], &have[j]) <= 0:
			first = &want[i]
		default:
			first = &have[j]
		}
		iEnd, jEnd := i, j
		for iEnd < len(want) && address(&want[iEnd], first) == 0 {
			iEnd++
		}
		for jEnd < len(have) && address(&have[jEnd], first) == 0 {
			jEnd++
		}
		if slices.Contains(held.Families, first.Family) && !w.doubtful(i, iEnd) {
			out = w.compareRun(out, want[i:iEnd], have[j:jEnd], held.Mode)
		}
		i, j = iEnd, jEnd
	}
	return out
}

func (w *Wanted) doubtful(from, to int) bool {
	for i := from; i < to && len(w.doubts) > 0; i++ {
		if w.doubts[i] != "" {
			return true
		}
	}
	return false
}

func byFront(p, q facts.ServicePath) int { return p.Front(&q) }

// address orders as [facts.ServicePath.Front] does, without kind and scope.
func address(p, q *facts.ServicePath) int {
	return cmp.Or(cmp.Compare(p.Family, q.Family), p.VIP.Compare(q.VIP), cmp.Compare(p.Port, q.Port), strings.Compare(p.Protocol, q.Protocol))
}

// compareRun compares the paths of one address and port. One without scope stands for every scope of the other side.
func (all *Wanted) compareRun(out []Difference, want, have []facts.ServicePath, mode string) []Difference {
	var few [8]bool
	used := few[:]
	if len(have) > len(few) {
		used = make([]bool, len(have))
	}
	for i := range want {
		w, found := &want[i], false
		for j := range have {
			h := &have[j]
			if (w.Kind == facts.FrontHealth) != (h.Kind == facts.FrontHealth) || !meet(w.Scope, h.Scope) {
				continue
			}
			found, used[j] = true, true
			if h.Unknown != "" {
				continue
			}
			if d, same := comparePath(w, h, mode, all.loose); !same {
				out = append(out, d)
			}
		}
		if !found {
			d := Difference{Want: w}
			for _, b := range w.Backends {
				d.Missing = append(d.Missing, b.Addr)
			}
			out = append(out, d)
		}
	}
	for j := range have {
		if !used[j] && have[j].Unknown == "" {
			d := Difference{Held: &have[j]}
			for _, b := range have[j].Backends {
				d.Extra = append(d.Extra, b.Addr)
			}
			out = append(out, d)
		}
	}
	return out
}

// meet says whether two scopes are of the same connections. Those of the node and of its pods are told apart by kube-proxy's configuration alone.
func meet(a, b string) bool {
	return a == "" || b == "" || (a == facts.ScopeOutside) == (b == facts.ScopeOutside)
}

func comparePath(w, h *facts.ServicePath, mode string, loose bool) (d Difference, same bool) {
	d = Difference{Want: w, Held: h}
	if !slices.Equal(w.Backends, h.Backends) {
		d.backends()
	}
	if w.Verdict != h.Verdict && mode != facts.ModeIPVS {
		d.field("connections", verdict(w), verdict(h))
	}
	backed := len(w.Backends) > 0 && len(h.Backends) > 0 // where there is none, nothing is masqueraded or remembered
	if backed && w.Affinity != h.Affinity {
		d.field("session affinity", seconds(w.Affinity), seconds(h.Affinity))
	}
	if backed && !loose && w.Masquerade != h.Masquerade {
		d.field("masquerades", masquerade(w), masquerade(h))
	}
	if !loose && w.Scope != h.Scope && w.Scope != "" && h.Scope != "" {
		d.field("from this node", w.Scope, h.Scope)
	}
	if !sameRanges(w.Sources, h.Sources) {
		d.field("source ranges", ranges(w), ranges(h))
	}
	if len(d.Missing) == 0 && len(h.Broken) > 0 {
		d.field("broken links", "none", strings.Join(h.Broken, ", "))
	}
	return d, len(d.Missing) == 0 && len(d.Extra) == 0 && len(d.Fields) == 0
}

func (d *Difference) field(name, want, got string) {
	d.Fields = append(d.Fields, Field{name, want, got})
}

// backends walks two lists that are in the order of addresses. A wanted backend has weight; a held one without is dead, or is being drained.
func (d *Difference) backends() {
	byAddress := func(a, b facts.ServiceBackend) int { return a.Addr.Compare(b.Addr) }
	w, h := d.Want.Backends, d.Held.Backends
	if !slices.IsSortedFunc(h, byAddress) {
		h = slices.SortedStableFunc(slices.Values(h), byAddress)
	}
	for len(w) > 0 || len(h) > 0 {
		switch {
		case len(h) == 0 || len(w) > 0 && w[0].Addr.Compare(h[0].Addr) < 0:
			d.Missing = append(d.Missing, w[0].Addr)
			w = w[1:]
		case len(w) == 0 || h[0].Addr.Compare(w[0].Addr) < 0:
			if h[0].Weight > 0 {
				d.Extra = append(d.Extra, h[0].Addr)
			}
			h = h[1:]
		default:
			if h[0].Weight == 0 {
				d.Missing, d.Dead = append(d.Missing, h[0].Addr), append(d.Dead, h[0].Addr)
			}
			w, h = w[1:], h[1:]
		}
	}
}

func verdict(p *facts.ServicePath) string {
	switch {
	case p.Verdict == facts.VerdictReject:
		return "rejected"
	case p.Verdict == facts.VerdictDrop:
		return "dropped"
	case len(p.Backends) == 0:
		return "lost"
	}
	return "to backends"
}

func seconds(n uint32) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprintf("%d s", n)
}

func masquerade(p *facts.ServicePath) string { return cmp.Or(p.Masquerade.String(), "nobody") }

func ranges(p *facts.ServicePath) string {
	if len(p.Sources) == 0 {
		return "all"
	}
	var list []string
	for _, r := range p.Sources {
		list = append(list, r.String())
	}
	return strings.Join(list, ", ")
}

// Meets says whether two paths are of the same connections: same frontend, and scopes that overlap.
func Meets(p, q *facts.ServicePath) bool { return sameFront(p, q) && meet(p.Scope, q.Scope) }
