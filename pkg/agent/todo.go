package agent

import (
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/facts"
)

// todo is what is to be read again. The zero value is nothing.
type todo struct {
	kinds  []facts.Kind
	pods   bool     // which there are
	again  []uint64 // pods that are read again whole
	full   bool     // everything
	urgent bool     // a tunnel has changed
	cause  string
	since  time.Time // when the first of it was told; zero: it was not told
}

func (t *todo) add(cause string, kinds ...facts.Kind) {
	if len(kinds) == 0 {
		return
	}
	for _, k := range kinds {
		if !slices.Contains(t.kinds, k) {
			t.kinds = append(t.kinds, k)
		}
	}
	t.because(cause)
}

// object adds the namespace of an object, if it is a pod's.
func (t *todo) object(cause string, netns, host uint64) {
	if netns == 0 || netns == host || slices.Contains(t.again, netns) {
		return
	}
	t.again = append(t.again, netns)
	t.because(cause)
}

func (t *todo) because(cause string) {
	if t.cause == "" {
		t.cause = cause
	}
}

func (t *todo) hasQuick() bool { return slices.ContainsFunc(t.kinds, quick) }

func (t *todo) hasSlow() bool {
	return t.pods || t.full || len(t.again) > 0 || slices.ContainsFunc(t.kinds, func(k facts.Kind) bool { return !quick(k) })
}

// takeQuick takes out what the loop reads itself.
func (t *todo) takeQuick() (kinds []facts.Kind, cause string) {
	kinds, cause = t.split(quick)
	t.urgent = false
	return kinds, cause
}

// takeSlow takes out what is read beside the loop.
func (t *todo) takeSlow() todo {
	out := todo{pods: t.pods, again: t.again, full: t.full}
	t.pods, t.again, t.full = false, nil, false
	out.kinds, out.cause = t.split(func(k facts.Kind) bool { return !quick(k) })
	return out
}

// takeAll takes out everything.
func (t *todo) takeAll() todo {
	out := *t
	*t = todo{}
	return out
}

func (t *todo) split(mine func(facts.Kind) bool) (taken []facts.Kind, cause string) {
	var left []facts.Kind
	for _, k := range t.kinds {
		if mine(k) {
			taken = append(taken, k)
		} else {
			left = append(left, k)
		}
	}
	cause = t.cause
	t.kinds = left
	if !t.hasQuick() && !t.hasSlow() {
		t.cause, t.since = "", time.Time{}
	}
	return taken, cause
}

func (t *todo) empty() bool { return !t.hasQuick() && !t.hasSlow() }

// options are what is to be read again of the node.
func (t *todo) options(intent facts.Intent) collect.UpdateOptions {
	return collect.UpdateOptions{Kinds: t.kinds, Pods: t.pods, Again: t.again, Intent: intent}
}

func (t *todo) podsRead() bool { return t.pods || len(t.again) > 0 }
