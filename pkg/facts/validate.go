package facts

import (
	"fmt"
	"slices"
)

// maxPods bounds the network namespaces of a document, so that what looks one up for each of them ends in time. A node has hundreds; kubelet's own
// bound is usually 110 or 250.
const maxPods = 1 << 14

// Validate says what makes the snapshot impossible: a check may rely on its absence.
func (s *Snapshot) Validate() error {
	known := append(NamespaceKinds(), NodeKinds()...)
	for _, k := range s.Kinds {
		if !slices.Contains(known, k) {
			return fmt.Errorf("unknown kind of facts %q", k)
		}
	}
	for k := range s.Missing {
		if !slices.Contains(s.Kinds, k) {
			return fmt.Errorf("kind %q is missing but was not asked for", k)
		}
	}
	if s.Window != nil && !(s.Window.Seconds > 0) {
		return fmt.Errorf("window of %v seconds", s.Window.Seconds)
	}
	if len(s.Pods) > maxPods {
		return fmt.Errorf("%d pods: a node has no more than %d", len(s.Pods), maxPods)
	}
	if err := s.Intent.Cluster.validate(); err != nil {
		return err
	}
	if err := s.ServiceRules.validate(); err != nil {
		return err
	}
	seen := map[uint64]bool{s.Host.Inode: true}
	if err := s.Host.validate(); err != nil {
		return fmt.Errorf("host: %w", err)
	}
	for i := range s.Pods {
		p := &s.Pods[i]
		if seen[p.Inode] {
			return fmt.Errorf("network namespace %d occurs twice", p.Inode)
		}
		seen[p.Inode] = true
		if err := p.validate(); err != nil {
			return fmt.Errorf("network namespace %d: %w", p.Inode, err)
		}
	}
	return nil
}

func (n *Namespace) validate() error {
	index := map[int]bool{}
	for i := range n.Links {
		l := &n.Links[i]
		if l.Index <= 0 || l.MTU < 0 || l.Name == "" {
			return fmt.Errorf("link %q with index %d and MTU %d", l.Name, l.Index, l.MTU)
		}
		if index[l.Index] {
			return fmt.Errorf("two links with index %d", l.Index)
		}
		index[l.Index] = true
	}
	for _, a := range n.Addresses {
		if !a.Prefix.IsValid() {
			return fmt.Errorf("an address without prefix on link %d", a.Link)
		}
	}
	for _, r := range n.Routes {
		if !r.Dst.IsValid() {
			return fmt.Errorf("a route without destination in table %d", r.Table)
		}
	}
	return nil
}
