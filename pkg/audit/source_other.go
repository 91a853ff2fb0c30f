//go:build !linux

package audit

import (
	"context"
	"net/netip"

	"github.com/netmend/netmend/pkg/facts"
)

func collectNode(context.Context, Source) (*facts.Snapshot, error) { return nil, ErrNotLinux }

func dialer(Source) (func(context.Context, netip.AddrPort) error, func() error, error) {
	return nil, nil, ErrNotLinux
}
