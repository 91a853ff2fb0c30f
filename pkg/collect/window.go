package collect

import (
	"context"
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

const progressEvery = 250 * time.Millisecond

// secondSample waits until the window has passed since start, reads the counters again and turns them into deltas. Where the context ends first, the
// snapshot stays without a window.
func (c *collection) secondSample(start time.Time, window time.Duration, progress func(done, total time.Duration)) {
	if !wait(c.ctx, start, window, progress) {
		return
	}
	c.snapshot.Window = &facts.Window{Seconds: time.Since(start).Seconds()}
	node := c.host.Node()
	var again facts.Namespace
	err := node.Do(func() error {
		again = c.sampleAgain(node, &c.snapshot.Host, c.snapshot.Has)
		if c.snapshot.NeighbourTable != nil {
			if later, err := node.NeighbourTable(); err == nil {
				neighbourDeltas(c.snapshot.NeighbourTable, later)
			}
		}
		return nil
	})
	if err == nil {
		deltas(&c.snapshot.Host, &again)
	}
	parallel(len(c.snapshot.Pods), func(i int) { c.podAgain(&c.snapshot.Pods[i]) })
}

// podAgain takes a pod's second sample. One whose namespace is gone, or cannot be entered any more, has no deltas.
func (c *collection) podAgain(pod *facts.Namespace) {
	// The namespace is opened anew: one that is held open through the window would outlive its pod.
	ns, err := c.host.Namespace(pod.Path)
	if err != nil {
		return
	}
	defer ns.Close()
	if ns.Inode != pod.Inode {
		return
	}
	var again facts.Namespace
	err = ns.Do(func() error {
		again = c.sampleAgain(ns, pod, func(k facts.Kind) bool { return c.snapshot.PodHas(pod, k) })
		return nil
	})
	if err == nil {
		deltas(pod, &again)
	}
}

// wait returns false when the context ends first.
func wait(ctx context.Context, start time.Time, window time.Duration, progress func(done, total time.Duration)) bool {
	end := time.NewTimer(time.Until(start.Add(window)))
	defer end.Stop()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		if progress != nil {
			progress(min(time.Since(start), window), window)
		}
		select {
		case <-ctx.Done():
			return false
		case <-end.C:
			if progress != nil {
				progress(window, window)
			}
			return true
		case <-tick.C:
		}
	}
}
