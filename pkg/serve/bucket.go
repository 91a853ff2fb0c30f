package serve

import (
	"sync"
	"time"
)

// bucket bounds a rate: it holds so many tokens and gets so many a second. Make one with newBucket.
type bucket struct {
	mu         sync.Mutex
	tokens     float64
	size, rate float64
	last       time.Time
	now        func() time.Time
}

func newBucket(size int, perSecond float64) *bucket {
	return &bucket{tokens: float64(size), size: float64(size), rate: perSecond, now: time.Now}
}

// take takes a token, if there is one.
func (b *bucket) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if !b.last.IsZero() {
		b.tokens = min(b.size, b.tokens+max(0, now.Sub(b.last).Seconds())*b.rate)
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
