package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// UpdateOptions says what of an earlier snapshot is read again. Its zero value reads nothing.
type UpdateOptions struct {
	Kinds  []facts.Kind // of the node; those that the earlier snapshot was not asked for are left out
	Pods   bool         // find the pods: those that came are read whole, those that went are dropped, the others stay as they were read
	Again  []uint64     // pods that are read again whole, by the inode numbers of their namespaces
	Intent facts.Intent // what the caller knows, as it was given to [Collect]
	Rules  *Rules       // as in [Options]
}

// Update reads kinds of the node again and gives a snapshot with them that shares all else with the earlier one, which stays as it is. Counters that are read
// again keep the deltas of the earlier snapshot's window. Stale are kinds whose list the kernel changed again and again while it was read: they are as they
// were, and should be read once more. An error means that there is no snapshot, as with [Collect].
func Update(ctx context.Context, h *host.Host, prev *facts.Snapshot, o UpdateOptions) (s *facts.Snapshot, stale []facts.Kind, err error) {
	kinds := slices.DeleteFunc(implied(o.Kinds), func(k facts.Kind) bool { return !slices.Contains(prev.Kinds, k) })
	f := fresh(prev, kinds, o)
	c := &collection{ctx: ctx, host: h, kinds: kinds, snapshot: f, rules: o.Rules, interrupted: &stale}
	if err := c.readHost(); err != nil {
		return nil, nil, err
	}
	c.readNodeKinds()
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return nil, nil, fmt.Errorf("collect: %w", err)
	}
	read := slices.DeleteFunc(kinds, func(k facts.Kind) bool { return slices.Contains(stale, k) })
	s = Merge(prev, f, read)
	if (o.Pods || len(o.Again) > 0) && slices.Contains(prev.Kinds, facts.KindPods) {
		p := *s
		c := &collection{ctx: ctx, host: h, kinds: prev.Kinds, snapshot: &p}
		c.findPods(s.Pods, o)
		p.Pods = keepPods(s.Pods, p.Pods)
		s = &p
	}
	return s, stale, nil
}

// fresh is a snapshot to read the kinds into, with what reading them rests upon.
func fresh(prev *facts.Snapshot, kinds []facts.Kind, o UpdateOptions) *facts.Snapshot {
	asked := func(k ...facts.Kind) bool {
		return slices.ContainsFunc(k, func(k facts.Kind) bool { return slices.Contains(kinds, k) })
	}
	s := &facts.Snapshot{
		Schema: prev.Schema, Taken: time.Now().UTC(), Node: prev.Node, Intent: prev.Intent, Kinds: kinds,
		Proxy: prev.Proxy, Agents: prev.Agents, CNI: prev.CNI, Pods: prev.Pods,
	}
	if asked(facts.KindCNIConfig) {
		s.Intent.PodCIDRs, s.Intent.NodePodCIDR = o.Intent.PodCIDRs, o.Intent.NodePodCIDR
	}
	if asked(facts.KindServices) {
		s.Intent.Cluster = o.Intent.Cluster
	}
	if asked(facts.KindServiceVIPs) {
		s.Intent.Services = o.Intent.Services
	}
	if asked(facts.KindProxy) {
		s.Proxy = nil
	}
	// Reading features writes into the links, which must then be its own.
	if !asked(facts.KindLinks, facts.KindTunnels, facts.KindPodLinks, facts.KindFeatures) {
		s.Host.Links = prev.Host.Links
	}
	if !asked(facts.KindAddresses) {
		s.Host.Addresses = prev.Host.Addresses
	}
	return s
}

// findPods makes the snapshot's pods those that there are now. What was read of the earlier ones that are still there is kept, where it is not to be read again.
func (c *collection) findPods(earlier []facts.Namespace, o UpdateOptions) {
	c.snapshot.Missing = maps.Clone(c.snapshot.Missing)
	delete(c.snapshot.Missing, facts.KindPods)
	view, err := c.viewNode()
	if err != nil {
		miss(&c.snapshot.Missing, facts.KindPods, err)
		return
	}
	known := make(map[uint64]*facts.Namespace, len(earlier))
	var found []host.Found
	for i := range earlier {
		p := &earlier[i]
		if !slices.Contains(o.Again, p.Inode) {
			known[p.Inode] = p
		}
		found = append(found, host.Found{Path: p.Path, Inode: p.Inode, PID: p.PID, Comm: p.Comm})
	}
	denied := 0
	if o.Pods {
		found, denied = c.host.Namespaces()
	}
	pods, errs := make([]*facts.Namespace, len(found)), make([]error, len(found))
	parallel(len(found), func(i int) {
		f := &found[i]
		if was := known[f.Inode]; was != nil {
			p := *was
			p.Path, p.PID, p.Comm = f.Path, f.PID, f.Comm // the process that led to it may have ended
			pods[i] = &p
			return
		}
		pods[i], errs[i] = c.readFound(view, f)
	})
	c.snapshot.Pods = nil
	for _, p := range pods {
		if p != nil {
			c.snapshot.Pods = append(c.snapshot.Pods, *p)
		}
	}
	slices.SortFunc(c.snapshot.Pods, func(a, b facts.Namespace) int { return cmp.Compare(a.Inode, b.Inode) })
	if err := podsError(errs, denied); err != nil {
		miss(&c.snapshot.Missing, facts.KindPods, err)
	}
}
