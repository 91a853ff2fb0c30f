package collect

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// readPods finds the namespaces of the node's pods and reads in each the kinds that are read per pod.
func (c *collection) readPods() {
	if !c.wants(facts.KindPods) {
		return
	}
	view, err := c.viewNode()
	if err != nil {
		miss(&c.snapshot.Missing, facts.KindPods, err)
		return
	}
	found, denied := c.host.Namespaces()
	pods := make([]*facts.Namespace, len(found))
	errs := make([]error, len(found))
	parallel(len(found), func(i int) { pods[i], errs[i] = c.readFound(view, &found[i]) })
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

// podsError sums up what kept namespaces from being read; nil where nothing did.
func podsError(errs []error, deniedProcesses int) error {
	var other error
	denied := 0
	for _, err := range errs {
		switch {
		case errors.Is(err, fs.ErrPermission):
			denied++
		case err != nil && other == nil:
			other = err
		}
	}
	switch {
	case denied > 0 && deniedProcesses > 0:
		return fmt.Errorf("%d network namespaces and those of %d processes may not be read: %w", denied, deniedProcesses, fs.ErrPermission)
	case denied > 0:
		return fmt.Errorf("%d network namespaces may not be read: %w", denied, fs.ErrPermission)
	case deniedProcesses > 0:
		return fmt.Errorf("the network namespaces of %d processes may not be read: %w", deniedProcesses, fs.ErrPermission)
	}
	return other
}

// viewNode reads what tells pods from others, as far as it was not read already.
func (c *collection) viewNode() (*nodeView, error) {
	node := c.snapshot.Host
	ns := c.host.Node()
	err := ns.Do(func() error {
		for _, read := range []struct {
			have bool
			fn   func(*host.NS, *facts.Namespace) error
		}{
			{c.has(facts.KindLinks, facts.KindTunnels, facts.KindPodLinks, facts.KindFeatures), readLinks},
			{c.has(facts.KindAddresses), readAddresses},
			{c.has(facts.KindRoutes), readRoutes},
		} {
			if !read.have {
				if err := read.fn(ns, &node); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("tell pods from other namespaces: %w", err)
	}
	return newNodeView(&node), nil
}

// has says whether one of the kinds was read on the node.
func (c *collection) has(kinds ...facts.Kind) bool {
	return slices.ContainsFunc(kinds, c.snapshot.Has)
}

// readFound reads one namespace; nil without error where it is no pod of this node, or is gone.
func (c *collection) readFound(view *nodeView, f *host.Found) (pod *facts.Namespace, err error) {
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}
	ns, err := c.host.Namespace(f.Path)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ns.Close()) }()
	if ns.Inode != f.Inode { // the path leads to another one by now
		return nil, nil
	}
	p := &facts.Namespace{Inode: f.Inode, Path: f.Path, PID: f.PID, Comm: f.Comm}
	if p.NSID, err = c.host.Node().ID(ns); err != nil {
		return nil, err
	}
	err = ns.Do(func() error {
		ok, err := c.readPod(view, ns, p)
		if ok {
			pod = p
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", f.Path, err)
	}
	return pod, nil
}

// readPod reads a namespace if it is a pod's. A pod that loses its link meanwhile is being deleted: what was read of it is no state of a pod.
func (c *collection) readPod(view *nodeView, ns *host.NS, p *facts.Namespace) (ok bool, err error) {
	if err := readLinks(ns, p); err != nil {
		return false, err
	}
	if err := readAddresses(ns, p); err != nil {
		return false, err
	}
	var nodeID *int
	if slices.ContainsFunc(p.Links, func(l facts.Link) bool { return childKind(l.Kind) && l.PeerNSID != nil }) {
		if nodeID, err = ns.ID(c.host.Node()); err != nil {
			return false, err
		}
	}
	if !view.owns(p, nodeID) {
		return false, nil
	}
	c.read(ns, p, &p.Missing, func(k facts.Kind) bool { return k.PerPod() && c.wants(k) })
	later, err := ns.Links()
	if err != nil || !sameLinks(p.Links, later) {
		return false, err
	}
	if !c.wants(facts.KindLinks) && !c.wants(facts.KindPodLinks) {
		p.Links = nil
	}
	if !c.wants(facts.KindAddresses) {
		p.Addresses = nil
	}
	return true, nil
}

// sameLinks says whether no link came or went between two readings.
func sameLinks(a, b []facts.Link) bool {
	return slices.EqualFunc(a, b, func(a, b facts.Link) bool { return a.Index == b.Index && a.Master == b.Master && a.Parent == b.Parent })
}

// gone says whether a namespace could not be opened because it, or the process that led to it, has ended.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) || errors.Is(err, host.ErrNoNamespace)
}

// parallel calls fn for each number below n from a few goroutines: the time goes into system calls, which do not wait for each other.
func parallel(n int, fn func(int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, max(2, runtime.GOMAXPROCS(0))) {
		wg.Go(func() {
			for i := range next {
				fn(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}
