package agent

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/repair"
)

// node is the node as the loop uses it; a test has one that is made of data.
type node interface {
	// Collect reads the kinds, and all pods.
	Collect(ctx context.Context, kinds []facts.Kind, intent facts.Intent) (*facts.Snapshot, error)
	// Update is [collect.Update].
	Update(ctx context.Context, prev *facts.Snapshot, o collect.UpdateOptions) (s *facts.Snapshot, stale []facts.Kind, err error)
	// Read is [collect.Read].
	Read(ctx context.Context, s *facts.Snapshot, o collect.ReadOptions) (*collect.Reading, error)
	// Glance reads single links of the node, of tunnels with the feature that is mended in them. Those that are gone are left out.
	Glance(indexes []int) ([]facts.Link, error)
	// Watch is [host.Host.Watch].
	Watch(ctx context.Context, report func(host.Change)) error
	// Kernel is what repair changes.
	Kernel() repair.Kernel
	// Writable says why the kernel's values cannot be written, if that is known beforehand.
	Writable() error
	Close() error
}

// openNode opens the real one.
func openNode(root, netns string) (node, error) {
	h, err := host.Open(host.Options{Root: root, NetNS: netns, SHA256: sha256.Sum256})
	if err != nil {
		return nil, err
	}
	return hostNode{h, &collect.Rules{}}, nil
}

type hostNode struct {
	*host.Host
	rules *collect.Rules
}

func (n hostNode) Close() error { return errors.Join(n.rules.Close(), n.Host.Close()) }

func (n hostNode) Collect(ctx context.Context, kinds []facts.Kind, intent facts.Intent) (*facts.Snapshot, error) {
	return collect.Collect(ctx, n.Host, collect.Options{Kinds: kinds, Intent: intent, Rules: n.rules})
}

func (n hostNode) Update(ctx context.Context, prev *facts.Snapshot, o collect.UpdateOptions) (*facts.Snapshot, []facts.Kind, error) {
	o.Rules = n.rules
	return collect.Update(ctx, n.Host, prev, o)
}

func (n hostNode) Read(ctx context.Context, s *facts.Snapshot, o collect.ReadOptions) (*collect.Reading, error) {
	return collect.Read(ctx, n.Host, s, o)
}

func (n hostNode) Kernel() repair.Kernel { return repair.HostKernel(n.Host) }

func (n hostNode) Glance(indexes []int) (links []facts.Link, err error) {
	ns := n.Node()
	err = ns.Do(func() error {
		for _, index := range indexes {
			l, err := ns.LinkByIndex(index)
			if errors.Is(err, host.ErrAbsent) {
				continue
			}
			if err != nil {
				return err
			}
			if l.Tunnel != nil {
				if err := glanceFeature(ns, l); err != nil {
					return err
				}
			}
			links = append(links, *l)
		}
		return nil
	})
	return links, err
}

func glanceFeature(ns *host.NS, l *facts.Link) (err error) {
	e, err := ns.Ethtool()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	f, err := e.TxChecksum(l.Name)
	if errors.Is(err, host.ErrAbsent) {
		return nil
	}
	l.Features = map[string]facts.Feature{facts.FeatureTxChecksum: f}
	return err
}
