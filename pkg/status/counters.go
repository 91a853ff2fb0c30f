package status

import (
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

// Counters count what the loop has done since its start. They only grow. The zero value has counted nothing.
type Counters struct {
	Looks       uint64    // at the node, of any size
	LookSeconds Histogram // how long they took
	LastLook    time.Time // zero: none yet
	Events      uint64    // told by the kernel, or by a source of its kind
	Lost        uint64    // times that events were lost and everything was read again
	Panics      uint64    // of checks and collectors, which were survived

	Fixes  []FixCount  // by check and result, in order
	Unread []KindCount // kinds of facts that could not be read, in order

	Requests       []RequestCount // of the plugin, as far as it told of them, in order
	RequestSeconds Histogram      // how long they took
}

// FixCount is how often fixes of a check came to a result: a state of repair, "failed", or "refused".
type FixCount struct {
	Check, Result string
	Count         uint64
}

// KindCount is how often a kind of facts could not be read.
type KindCount struct {
	Kind  facts.Kind
	Count uint64
}

// RequestCount is how often a command of the plugin ended with a verdict.
type RequestCount struct {
	Command, Verdict string
	Count            uint64
}

// Histogram counts durations by their size. Below is cumulative: Below[i] is how many lasted at most Bounds[i] seconds.
type Histogram struct {
	Bounds []float64 // seconds, ascending
	Below  []uint64
	Count  uint64  // of all
	Sum    float64 // seconds
}

// Observe counts one duration. The bounds are the caller's, the same ones each time.
func (h *Histogram) Observe(bounds []float64, seconds float64) {
	if h.Bounds == nil {
		h.Bounds, h.Below = bounds, make([]uint64, len(bounds))
	}
	for i, b := range h.Bounds {
		if seconds <= b {
			h.Below[i]++
		}
	}
	h.Count++
	h.Sum += seconds
}
