package check

import (
	"cmp"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// Run judges a snapshot by the given checks.
func Run(s *facts.Snapshot, checks []*Check) *Report {
	parts := make(map[string]*Report, len(checks))
	for _, c := range checks {
		parts[c.Name] = One(s, c)
	}
	return Join(s.Host.Inode, checks, parts)
}

// One judges a snapshot by one check. What its root causes find does not mute it: that is for [Join].
func One(s *facts.Snapshot, c *Check) *Report {
	r := &Report{}
	skips, run := ready(s, c)
	r.Skipped = skips
	if !run {
		return r
	}
	r.Findings = c.Run(s)
	for i := range r.Findings {
		r.Findings[i].Check = c.Name
	}
	if len(r.Findings) == 0 {
		r.Passed = []string{c.Name}
	}
	return r
}

// Join makes one report of what single checks gave, by their names; one that is not there was not run. The inode number is that of the node's namespace. The parts
// stay as they are.
func Join(host uint64, checks []*Check, parts map[string]*Report) *Report {
	r := &Report{}
	for _, c := range checks {
		part := parts[c.Name]
		if part == nil {
			continue
		}
		r.Skipped = append(r.Skipped, part.Skipped...)
		r.Passed = append(r.Passed, part.Passed...)
		for _, f := range part.Findings {
			if !muted(f, c, parts) {
				r.Findings = append(r.Findings, f)
			}
		}
	}
	slices.SortStableFunc(r.Findings, compare(host))
	return r
}

// ready says what of the check cannot be judged, and whether anything is left.
func ready(s *facts.Snapshot, c *Check) (skips []Skip, run bool) {
	for _, k := range c.Needs {
		if s.Has(k) {
			continue
		}
		return []Skip{{Check: c.Name, Reason: lack(s.Missing, k)}}, false
	}
	if c.Window == NeedsWindow && s.Window == nil {
		return []Skip{{Check: c.Name, Reason: "no window: it judges counters over time (--window 60s)"}}, false
	}
	if c.NotApplicable != nil {
		if why := c.NotApplicable(s); why != "" {
			return []Skip{{Check: c.Name, Reason: "not applicable: " + why}}, false
		}
	}
	if c.Window == WantsWindow && s.Window == nil {
		skips = append(skips, Skip{Check: c.Name, Partial: true, Reason: "no window: judged without counter evidence (--window 60s)"})
	}
	for _, k := range c.Wants {
		if _, missing := s.Missing[k]; missing {
			skips = append(skips, Skip{Check: c.Name, Partial: true, Reason: lack(s.Missing, k)})
		}
	}
	if c.Pods {
		skips = append(skips, podSkips(s, c)...)
	}
	return skips, true
}

func podSkips(s *facts.Snapshot, c *Check) (skips []Skip) {
	for i := range s.Pods {
		p := &s.Pods[i]
		for _, k := range c.Needs {
			if k.PerPod() && !s.PodHas(p, k) {
				on := facts.Ref{NetNS: p.Inode, Name: p.Path}
				skips = append(skips, Skip{Check: c.Name, On: &on, Reason: lack(p.Missing, k)})
				break
			}
		}
	}
	return skips
}

func lack(missing map[facts.Kind]string, k facts.Kind) string {
	if why, ok := missing[k]; ok {
		return "could not read " + string(k) + ": " + why
	}
	if k == facts.KindServices {
		return "the cluster's Services are not known (--services FILE)"
	}
	return string(k) + " was not collected"
}

// muted says whether a root cause of the check has a finding on the same object.
func muted(f Finding, c *Check, parts map[string]*Report) bool {
	for _, cause := range c.After {
		if part := parts[cause.Name]; part != nil && slices.ContainsFunc(part.Findings, func(g Finding) bool { return g.On == f.On }) {
			return true
		}
	}
	return false
}

// compare orders findings: worst first, then by check, the node's own namespace before the pods', then by object and message.
func compare(host uint64) func(a, b Finding) int {
	pod := func(f Finding) int {
		if f.On.NetNS == host || f.On.NetNS == 0 {
			return 0
		}
		return 1
	}
	return func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Check, b.Check), cmp.Compare(pod(a), pod(b)),
			cmp.Compare(a.On.NetNS, b.On.NetNS), cmp.Compare(a.On.Index, b.On.Index), cmp.Compare(a.On.Name, b.On.Name),
			cmp.Compare(a.Message, b.Message),
		)
	}
}
