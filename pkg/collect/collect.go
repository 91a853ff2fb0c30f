package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// Options says what to collect. Its zero value collects nothing.
type Options struct {
	Kinds    []facts.Kind
	Window   time.Duration                   // between two samples of the counters; 0: one sample
	Intent   facts.Intent                    // what the caller knows; what it leaves empty is derived from the node's files
	Now      func() time.Time                // nil: time.Now
	Rules    *Rules                          // keeps what was read of Services for the next time; nil: nothing is kept
	Progress func(done, total time.Duration) // called while the window passes; may be nil
}

// All is every kind there is.
func All() []facts.Kind { return append(facts.NamespaceKinds(), facts.NodeKinds()...) }

// Collect reads the kinds. What cannot be read is in the snapshot's Missing with the reason and is no error, and so is what the context's deadline
// left no time for. An error means that there is no snapshot at all: the namespace cannot be entered, or the context was cancelled.
func Collect(ctx context.Context, h *host.Host, o Options) (*facts.Snapshot, error) {
	now := o.Now
	if now == nil {
		now = time.Now
	}
	s := &facts.Snapshot{Schema: facts.Schema, Taken: now().UTC(), Intent: o.Intent, Kinds: implied(o.Kinds)}
	c := &collection{ctx: ctx, host: h, kinds: s.Kinds, snapshot: s, rules: o.Rules}
	readNode(h, &s.Node)
	start := time.Now()
	if err := c.readHost(); err != nil {
		return nil, err
	}
	c.readPods()
	c.readNodeKinds()
	if o.Window > 0 {
		c.secondSample(start, o.Window, o.Progress)
	}
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("collect: %w", err)
	}
	return s, nil
}

// implied adds the kinds that come with others: all links are also the tunnels and the pods' links.
func implied(kinds []facts.Kind) []facts.Kind {
	kinds = slices.Clone(kinds)
	if !slices.Contains(kinds, facts.KindLinks) {
		return kinds
	}
	for _, k := range []facts.Kind{facts.KindTunnels, facts.KindPodLinks} {
		if !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// collection is one run of [Collect].
type collection struct {
	ctx      context.Context
	host     *host.Host
	kinds    []facts.Kind
	snapshot *facts.Snapshot
	rules    *Rules // nil: rules of Services are read anew

	interrupted *[]facts.Kind // where not nil, kinds whose dump was interrupted are added here and are not missing
}

func (c *collection) wants(k facts.Kind) bool { return slices.Contains(c.kinds, k) }

// readHost reads the node's own namespace.
func (c *collection) readHost() error {
	s, node := c.snapshot, c.host.Node()
	s.Host.Inode, s.Host.Path = node.Inode, node.Path
	err := node.Do(func() error {
		c.read(node, &s.Host, &s.Missing, c.wants)
		return nil
	})
	if err != nil {
		return fmt.Errorf("collect: %w", err)
	}
	return nil
}

// read runs the collectors of the kinds that want reports, on a thread that is in the namespace.
func (c *collection) read(n *host.NS, ns *facts.Namespace, missing *map[facts.Kind]string, want func(facts.Kind) bool) {
	for _, r := range nsCollectors() {
		if !want(r.kind) {
			continue
		}
		err := c.ctx.Err()
		if err == nil {
			err = r.read(n, ns)
		}
		switch {
		case err != nil && c.interrupted != nil && errors.Is(err, host.ErrInterrupted):
			*c.interrupted = append(*c.interrupted, r.kind)
		case err != nil:
			miss(missing, r.kind, err)
		}
	}
}

// readNodeKinds reads the kinds of the node as a whole, which may build on those of its namespaces.
func (c *collection) readNodeKinds() {
	for _, r := range c.nodeCollectors() {
		if !c.wants(r.kind) {
			continue
		}
		err := c.ctx.Err()
		if err == nil {
			err = r.read(c.ctx, c.host, c.snapshot)
		}
		switch {
		case err != nil && c.interrupted != nil && errors.Is(err, host.ErrInterrupted):
			*c.interrupted = append(*c.interrupted, r.kind)
		case err != nil:
			miss(&c.snapshot.Missing, r.kind, err)
		}
	}
}

// miss records why a kind could not be read.
func miss(missing *map[facts.Kind]string, k facts.Kind, err error) {
	if *missing == nil {
		*missing = map[facts.Kind]string{}
	}
	reason := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		reason = fmt.Sprintf("not in time: %v", err)
	}
	(*missing)[k] = reason
}
