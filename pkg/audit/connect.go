package audit

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// Attempt is one TCP connection that was tried from a node.
type Attempt struct {
	To   netip.AddrPort
	Took time.Duration
	Err  error // nil: it was established, and closed at once
}

// inParallel bounds how many connections are tried at a time.
const inParallel = 16

// Connect tries TCP connections from the network namespace of a node, each within a time, and gives them in the order of the addresses. Nothing is sent. On a
// system other than Linux it gives [ErrNotLinux].
func Connect(ctx context.Context, s Source, to []netip.AddrPort, limit time.Duration) ([]Attempt, error) {
	dial, done, err := dialer(s)
	if err != nil {
		return nil, err
	}
	out := make([]Attempt, len(to))
	slots := make(chan struct{}, inParallel)
	var all sync.WaitGroup
	for i, addr := range to {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			start := time.Now()
			err := dial(ctx, addr)
			out[i] = Attempt{To: addr, Took: time.Since(start), Err: err}
		})
	}
	all.Wait()
	return out, done()
}
