package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"net/netip"

	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

func collectNode(ctx context.Context, s Source) (_ *facts.Snapshot, err error) {
	h, err := host.Open(host.Options{Root: s.Root, NetNS: s.NetNS, SHA256: sha256.Sum256})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	return collect.Collect(ctx, h, collect.Options{Kinds: s.Kinds, Window: s.Window, Intent: s.Intent, Now: s.Now, Progress: s.Progress})
}

// dialer opens connections in the node's network namespace until done is called.
func dialer(s Source) (dial func(context.Context, netip.AddrPort) error, done func() error, err error) {
	h, err := host.Open(host.Options{Root: s.Root, NetNS: s.NetNS})
	if err != nil {
		return nil, nil, err
	}
	dial = func(ctx context.Context, to netip.AddrPort) error {
		return h.Node().Do(func() error {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", to.String())
			if err != nil {
				return err
			}
			return c.Close()
		})
	}
	return dial, h.Close, nil
}
