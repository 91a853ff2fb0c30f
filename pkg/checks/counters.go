package checks

import (
	"fmt"
	"math"

	"github.com/netmend/netmend/pkg/check"
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
	return fmt.Sprintf("+%d %s", d, during(s))
}

// during says over how long deltas were taken: "in 60s".
func during(s *facts.Snapshot) string {
	if s.Window == nil {
		return "over the window"
	}
	return fmt.Sprintf("in %gs", math.Round(s.Window.Seconds*10)/10)
}

// risenEvidence tells of those counters that rose.
func risenEvidence(s *facts.Snapshot, ns *facts.Namespace, names ...string) (out []check.Evidence) {
	for _, name := range names {
		if d, _ := delta(ns, name); d > 0 {
			out = append(out, check.Evidence{Fact: name, Got: risen(s, d), Want: "+0"})
		}
	}
	return out
}

// perMinute is the rate of a delta; 0 where there is no window.
func perMinute(s *facts.Snapshot, d uint64) float64 {
	if s.Window == nil {
		return 0
	}
	return float64(d) * 60 / s.Window.Seconds
}

// counterRef names a counter of a namespace as the object of a finding.
func counterRef(ns *facts.Namespace, name string) facts.Ref {
	return facts.Ref{NetNS: ns.Inode, Name: name}
}
