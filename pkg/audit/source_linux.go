package audit

import (
	"context"
	"errors"

	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

func collectNode(ctx context.Context, s Source) (_ *facts.Snapshot, err error) {
	h, err := host.Open(host.Options{Root: s.Root, NetNS: s.NetNS})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	return collect.Collect(ctx, h, collect.Options{Kinds: s.Kinds, Window: s.Window, Intent: s.Intent, Now: s.Now, Progress: s.Progress})
}
