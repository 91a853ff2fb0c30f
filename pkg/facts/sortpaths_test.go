package facts

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestSortPaths compares with a stable sort of the paths themselves.
func TestSortPaths(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	byName := func(p, q *ServicePath) int { return strings.Compare(p.Name, q.Name) }
	for size := range 40 {
		list := make([]ServicePath, size)
		for i := range list {
			list[i] = ServicePath{Name: string(rune('a' + random.IntN(3))), Family: 4, VIP: netip.AddrFrom4([4]byte{10, 0, 0, byte(random.IntN(8))}), Affinity: uint32(i)}
		}
		for _, then := range []func(p, q *ServicePath) int{nil, byName} {
			want, got := slices.Clone(list), slices.Clone(list)
			slices.SortStableFunc(want, func(p, q ServicePath) int {
				if c := p.Front(&q); c != 0 || then == nil {
					return c
				}
				return then(&p, &q)
			})
			from := SortPaths(got, then)
			for i := range want {
				if want[i].Affinity != got[i].Affinity || uint32(from[i]) != got[i].Affinity {
					t.Fatalf("%d paths: at %d stands that of %d, from %d; want that of %d", size, i, got[i].Affinity, from[i], want[i].Affinity)
				}
			}
		}
	}
}
