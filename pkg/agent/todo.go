package agent

import (
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// todo is what is to be read again. The zero value is nothing.
type todo struct {
	kinds  []facts.Kind
	pods   bool
	full   bool // everything
	urgent bool // a tunnel has changed
	cause  string
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

func (t *todo) because(cause string) {
	if t.cause == "" {
		t.cause = cause
	}
}

func (t *todo) hasQuick() bool { return slices.ContainsFunc(t.kinds, quick) }

func (t *todo) hasSlow() bool {
	return t.pods || t.full || slices.ContainsFunc(t.kinds, func(k facts.Kind) bool { return !quick(k) })
}

// takeQuick takes out what the loop reads itself.
func (t *todo) takeQuick() (kinds []facts.Kind, cause string) {
	kinds, cause = t.split(quick)
	t.urgent = false
	return kinds, cause
}

// takeSlow takes out what is read beside the loop.
func (t *todo) takeSlow() (kinds []facts.Kind, pods, full bool, cause string) {
	pods, full = t.pods, t.full
	t.pods, t.full = false, false
	kinds, cause = t.split(func(k facts.Kind) bool { return !quick(k) })
	return kinds, pods, full, cause
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
		t.cause = ""
	}
	return taken, cause
}

func (t *todo) empty() bool { return !t.hasQuick() && !t.hasSlow() }
