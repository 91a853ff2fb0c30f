package cluster

// groups are things put together by what they have in common. The zero value is empty.
type groups[K comparable, T any] struct {
	order []K // in which they came first
	of    map[K][]T
}

func (g *groups[K, T]) add(k K, v T) {
	if g.of == nil {
		g.of = map[K][]T{}
	}
	if g.of[k] == nil {
		g.order = append(g.order, k)
	}
	g.of[k] = append(g.of[k], v)
}
