package facts

import (
	"cmp"
	"slices"
)

// SortPaths puts paths in the order of [ServicePath.Front], and those of one frontend and scope in that of then, or as they stand where it is nil or tells no
// difference. It gives the former index of each. A path is moved once: there are tens of thousands, and each is large.
func SortPaths(list []ServicePath, then func(p, q *ServicePath) int) (from []int32) {
	from = make([]int32, len(list))
	for i := range from {
		from[i] = int32(i)
	}
	slices.SortFunc(from, func(i, j int32) int {
		c := list[i].Front(&list[j])
		if c == 0 && then != nil {
			c = then(&list[i], &list[j])
		}
		return cmp.Or(c, cmp.Compare(i, j))
	})
	for first := range from {
		if from[first] < 0 { // of a circle that was walked
			continue
		}
		path, to := list[first], first
		for int(from[to]) != first {
			next := int(from[to])
			list[to], from[to], to = list[next], ^from[to], next
		}
		list[to], from[to] = path, ^from[to]
	}
	for i := range from {
		from[i] = ^from[i]
	}
	return from
}
