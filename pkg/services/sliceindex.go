package services

import "github.com/netmend/netmend/pkg/facts"

// sliceIndex finds the slices of each Service that kube-proxy looks at. There are about as many Services as slices, so that a list for each would cost as much as
// all the rest.
type sliceIndex struct {
	first map[string]int32 // by the name of the Service: 1 more than the index of its first slice
	next  []int32          // by the index of a slice: the same of the Service's next one
	found []int32
}

func newSliceIndex(c *facts.Cluster) *sliceIndex {
	x := &sliceIndex{first: make(map[string]int32, len(c.All)), next: make([]int32, len(c.Slices))}
	for i := len(c.Slices) - 1; i >= 0; i-- {
		if s := &c.Slices[i]; s.Proxy == "" && !s.Headless {
			x.next[i], x.first[s.Service] = x.first[s.Service], int32(i+1)
		}
	}
	return x
}

// of gives the indexes of a Service's slices in their order, valid until the next call.
func (x *sliceIndex) of(service string) []int32 {
	x.found = x.found[:0]
	for i := x.first[service]; i != 0; i = x.next[i-1] {
		x.found = append(x.found, i-1)
	}
	return x.found
}
