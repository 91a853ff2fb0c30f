//go:build linux

package main

import (
	"context"
	"sync"

	"github.com/netmend/netmend/pkg/config"
)

// wanted holds the configuration that is to be in force, of several the last. Make one with newWanted.
type wanted chan config.Kubernetes

func newWanted() wanted { return make(wanted, 1) }

// apply puts another configuration in force. It does not wait, and may be called by several goroutines.
func (w wanted) apply(k config.Kubernetes) {
	for {
		select {
		case w <- k:
			return
		case <-w: // one that was not yet in force
		}
	}
}

// each calls change with one after another until the context ends.
func (w wanted) each(ctx context.Context, change func(context.Context, config.Kubernetes)) {
	for {
		select {
		case <-ctx.Done():
			return
		case k := <-w:
			change(ctx, k)
		}
	}
}

// inBackground starts something, and gives what ends it and waits for that.
func inBackground(ctx context.Context, f func(context.Context)) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { f(ctx) })
	return func() {
		cancel()
		group.Wait()
	}
}
