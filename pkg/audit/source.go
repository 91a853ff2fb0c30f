package audit

import (
	"context"
	"errors"
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

// ErrNotLinux says that this system has no facts to collect.
var ErrNotLinux = errors.New("only a Linux node can be read")

// Source says which node is read, and what of it. The zero value reads no kind of the node that the program runs on.
type Source struct {
	Root   string        // prefixes /proc, /sys, /etc, /run and /var; empty: /
	NetNS  string        // path of the network namespace in which the node lives; empty: the program's own
	Kinds  []facts.Kind  // see [Kinds]
	Window time.Duration // between two samples of the counters; 0: one sample, no deltas
	Intent facts.Intent  // what the caller knows; what it leaves empty is derived from the node's files

	Now      func() time.Time                // nil: time.Now
	Progress func(done, total time.Duration) // called while the window passes; may be nil
}

// Collect reads the source. What could not be read is in the snapshot's Missing and is no error. On a system other than Linux it gives [ErrNotLinux].
func Collect(ctx context.Context, s Source) (*facts.Snapshot, error) { return collectNode(ctx, s) }
