package collect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// Reading is one reading of the counters of a node and its pods, to be kept until the next gives it a meaning. The zero value is not usable.
type Reading struct {
	at    time.Time
	kinds []facts.Kind
	host  facts.Namespace
	pods  map[uint64]*facts.Namespace
	fill  *facts.NeighbourTable
	texts map[uint64]*host.Counters  // of pods, as they were read
	idle  map[uint64]*facts.Counters // of pods whose counters have not grown since the reading before
}

// ReadOptions says what a reading leaves out. The zero value leaves out nothing.
type ReadOptions struct {
	Without []facts.Kind
	Pods    *host.CounterNames // the protocol counters that are read of pods, always the same; nil: all
	Earlier *Reading           // an earlier reading of the same Host, with which what has not changed is shared; it may be nil
}

// Read reads the counters of a snapshot's node and of its pods.
func Read(ctx context.Context, h *host.Host, s *facts.Snapshot, o ReadOptions) (*Reading, error) {
	r := &Reading{at: time.Now(), host: facts.Namespace{Inode: s.Host.Inode}, pods: map[uint64]*facts.Namespace{}, texts: map[uint64]*host.Counters{}}
	if o.Earlier == nil {
		o.Earlier = &Reading{}
	}
	skip := func(k facts.Kind) bool { return slices.Contains(o.Without, k) }
	for k := range sampledKinds() {
		if s.Has(k) && !skip(k) {
			r.kinds = append(r.kinds, k)
		}
	}
	c := &collection{ctx: ctx, host: h, kinds: s.Kinds, snapshot: s}
	node := h.Node()
	err := node.Do(func() (err error) {
		r.host = c.sampleAgain(node, &s.Host, func(k facts.Kind) bool { return s.Has(k) && !skip(k) })
		if s.Has(facts.KindNeighbourTable) {
			r.kinds = append(r.kinds, facts.KindNeighbourTable)
			r.fill, err = node.NeighbourTable()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	pods, texts := make([]*facts.Namespace, len(s.Pods)), make([]*host.Counters, len(s.Pods))
	parallel(len(s.Pods), func(i int) { // but not what is dropped at a pod's own links: the node's ends count that too
		has := func(k facts.Kind) bool { return !linkKind(k) && s.PodHas(&s.Pods[i], k) && !skip(k) }
		pods[i], texts[i] = c.readPodAgain(&s.Pods[i], &o, has)
	})
	for i, p := range pods {
		if p != nil {
			r.pods[p.Inode] = p
		}
		if texts[i] != nil {
			r.texts[p.Inode] = texts[i]
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	return r, nil
}

// ReadingOf takes the counters of a snapshot that was just collected for a reading.
func ReadingOf(s *facts.Snapshot, at time.Time) *Reading {
	r := &Reading{at: at, host: s.Host, pods: make(map[uint64]*facts.Namespace, len(s.Pods)), fill: s.NeighbourTable}
	r.host.Missing = s.Missing
	for k := range sampledKinds() {
		if s.Has(k) {
			r.kinds = append(r.kinds, k)
		}
	}
	if s.NeighbourTable != nil {
		r.kinds = append(r.kinds, facts.KindNeighbourTable)
	}
	for i := range s.Pods {
		p := &s.Pods[i]
		r.pods[p.Inode] = &facts.Namespace{Inode: p.Inode, Missing: p.Missing, Counters: p.Counters, UDPSockets: p.UDPSockets, Listeners: p.Listeners}
	}
	return r
}

func linkKind(k facts.Kind) bool {
	return k == facts.KindLinks || k == facts.KindTunnels || k == facts.KindPodLinks
}

// readPodAgain reads what holds counters in a pod; nil where its namespace is gone or cannot be entered any more.
func (c *collection) readPodAgain(pod *facts.Namespace, o *ReadOptions, has func(facts.Kind) bool) (again *facts.Namespace, text *host.Counters) {
	ns, err := c.host.Namespace(pod.Path)
	if err != nil || c.ctx.Err() != nil {
		return nil, nil
	}
	defer func() {
		if errors.Join(err, ns.Close()) != nil {
			again, text = nil, nil
		}
	}()
	if ns.Inode != pod.Inode {
		return nil, nil
	}
	// Here, because the goroutine that reads many pods is parallel's own, which ends then: each pod would take another goroutine and another thread.
	err = ns.DoHere(func() error {
		n := c.sampleAgain(ns, pod, func(k facts.Kind) bool { return k != facts.KindCounters && has(k) })
		if has(facts.KindCounters) {
			text = countersAgain(ns, &n, o)
		}
		again = &n
		return nil
	})
	return again, text
}

// countersAgain is readCounters for whoever has read the pod before; nil where it failed.
func countersAgain(ns *host.NS, again *facts.Namespace, o *ReadOptions) *host.Counters {
	was := o.Earlier.texts[ns.Inode]
	text, err := ns.Counters(o.Pods, was)
	switch {
	case err != nil:
		miss(&again.Missing, facts.KindCounters, err)
		return nil
	case text == was:
		again.Counters = o.Earlier.pods[ns.Inode].Counters
	default:
		again.Counters = &facts.Counters{Total: text.Total}
	}
	return text
}

// share makes an idle pod's counters the earlier ones: they take their room, and the time to look at each, once.
func (r *Reading) share(pod uint64, earlier *facts.Counters) {
	r.pods[pod].Counters = earlier
	if text := r.texts[pod]; text != nil {
		text.Total = earlier.Total
	}
}

// Since gives the snapshot with the counters of this reading, and how much they have grown since the earlier one. Back is how many counters are smaller than they
// were: they were reset, or have wrapped, and have no growth. Both readings stay as they are, but that they share with the snapshot.
func (r *Reading) Since(earlier *Reading, s *facts.Snapshot) (out *facts.Snapshot, back int) {
	later := *s
	later.Window = &facts.Window{Seconds: r.at.Sub(earlier.at).Seconds()}
	later.Taken = r.at.UTC()
	kinds := slices.DeleteFunc(slices.Clone(r.kinds), func(k facts.Kind) bool {
		_, missing := r.host.Missing[k]
		return missing || linkKind(k) // of links only the growth is taken: they themselves may have changed since
	})
	w := &grower{}
	r.idle = map[uint64]*facts.Counters{}
	g := w.growth(&earlier.host, &r.host)
	n := &facts.Snapshot{Taken: later.Taken, Node: s.Node, Host: g}
	if r.fill != nil {
		fill := *r.fill
		if earlier.fill != nil {
			fill = fillGrowth(earlier.fill, r.fill)
		}
		n.NeighbourTable = &fill
	}
	later = *Merge(&later, n, kinds)
	later.Host.Links = linkGrowth(s.Host.Links, g.Links)
	later.Pods = slices.Clone(s.Pods)
	for i := range later.Pods {
		p := &later.Pods[i]
		now, was := r.pods[p.Inode], earlier.pods[p.Inode]
		if now == nil {
			continue
		}
		if was == nil {
			was = &facts.Namespace{}
		}
		idle := now.Counters != nil && (now.Counters == was.Counters || was.Counters != nil && maps.Equal(was.Counters.Total, now.Counters.Total))
		if idle {
			r.share(p.Inode, was.Counters)
		}
		g := w.growth(was, now)
		if idle {
			if r.idle[p.Inode] = earlier.idle[p.Inode]; r.idle[p.Inode] == nil {
				r.idle[p.Inode] = &facts.Counters{Total: was.Counters.Total, Delta: w.mapGrowth(was.Counters.Total, was.Counters.Total)}
			}
			g.Counters = r.idle[p.Inode]
		}
		if g.Counters != nil {
			p.Counters = g.Counters
		}
		if _, missing := now.Missing[facts.KindSockets]; !missing && s.PodHas(p, facts.KindSockets) {
			p.UDPSockets, p.Listeners = g.UDPSockets, g.Listeners
		}
	}
	return &later, w.back
}
