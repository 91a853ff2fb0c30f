package checks

import (
	"fmt"

	"github.com/netmend/netmend/pkg/facts"
)

// delta is by how much a counter of the namespace rose over the window; ok is false where that is not known.
func delta(ns *facts.Namespace, name string) (d uint64, ok bool) {
	if ns.Counters == nil {
		return 0, false
	}
	d, ok = ns.Counters.Delta[name]
	return d, ok
}

// risen writes a delta with the time it took.
func risen(s *facts.Snapshot, d uint64) string {
	if s.Window == nil {
		return fmt.Sprintf("+%d", d)
	}
	return fmt.Sprintf("+%d in %.4gs", d, s.Window.Seconds)
}
