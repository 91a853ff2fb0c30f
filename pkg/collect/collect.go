package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// Options says what to collect. Its zero value collects nothing.
type Options struct {
	Kinds    []facts.Kind
	Window   time.Duration                   // between two samples of the counters; 0: one sample
	Intent   facts.Intent                    // what the caller knows; what it leaves empty is derived from the node's files
	Now      func() time.Time                // nil: time.Now
	Progress func(done, total time.Duration) // called while the window passes; may be nil
}

// nsCollector reads one kind of one namespace; it is called on a thread that lives in it.
type nsCollector struct {
	kind facts.Kind
	read func(*host.NS, *facts.Namespace) error
}

// nodeCollector reads one kind of the node, after the kinds of its namespace.
type nodeCollector struct {
	kind facts.Kind
	read func(context.Context, *host.Host, *facts.Snapshot) error
}

// All is every kind there is.
func All() []facts.Kind { return append(facts.NamespaceKinds(), facts.NodeKinds()...) }

// Collect reads the kinds. What cannot be read is in the snapshot's Missing with the reason and is no error; an error means that there is no snapshot at all.
func Collect(ctx context.Context, h *host.Host, o Options) (*facts.Snapshot, error) {
	now := o.Now
	if now == nil {
		now = time.Now
	}
	s := &facts.Snapshot{Schema: facts.Schema, Taken: now().UTC(), Intent: o.Intent, Kinds: slices.Clone(o.Kinds), Missing: map[facts.Kind]string{}}
	readNode(h, &s.Node)
	return s, nil
}

// miss records why a kind could not be read.
func miss(missing *map[facts.Kind]string, k facts.Kind, err error) {
	if *missing == nil {
		*missing = map[facts.Kind]string{}
	}
	reason := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		reason = fmt.Sprintf("not in time: %v", err)
	}
	(*missing)[k] = reason
}
