package host

import "iter"

// svcChunks is a list of unknown length: append would copy a long one many times, and leave each copy as garbage. The zero value is empty.
type svcChunks[T any] struct {
	full [][]T
	last []T
	n    int
}

const largestChunk = 1024

func (c *svcChunks[T]) add(v T) {
	if len(c.last) == cap(c.last) {
		if c.last != nil {
			c.full = append(c.full, c.last)
		}
		c.last = make([]T, 0, min(max(c.n, 16), largestChunk))
	}
	c.last = append(c.last, v)
	c.n++
}

func (c *svcChunks[T]) all() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, chunk := range c.full {
			for i := range chunk {
				if !yield(&chunk[i]) {
					return
				}
			}
		}
		for i := range c.last {
			if !yield(&c.last[i]) {
				return
			}
		}
	}
}
