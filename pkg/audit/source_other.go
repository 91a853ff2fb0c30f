//go:build !linux

package audit

import (
	"context"

	"github.com/netmend/netmend/pkg/facts"
)

func collectNode(context.Context, Source) (*facts.Snapshot, error) { return nil, ErrNotLinux }
