package check

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// Run judges a snapshot by the given checks.
func Run(s *facts.Snapshot, checks []*Check) *Report {
	r := &Report{}
	found := map[string][]Finding{}
	for _, c := range checks {
		skips, run := ready(s, c)
		r.Skipped = append(r.Skipped, skips...)
		if !run {
			continue
		}
		fs := c.Run(s)
		for i := range fs {
			fs[i].Check = c.Name
		}
		found[c.Name] = fs
		if len(fs) == 0 {
			r.Passed = append(r.Passed, c.Name)
		}
	}
	for _, c := range checks {
		for _, f := range found[c.Name] {
			if !muted(f, c, found) {
				r.Findings = append(r.Findings, f)
			}
		}
	}
	slices.SortStableFunc(r.Findings, compare(s.Host.Inode))
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
		return fmt.Sprintf("could not read %s: %s", k, why)
	}
	if k == facts.KindServices {
		return "the cluster's Services are not known (--services FILE)"
	}
	return fmt.Sprintf("%s was not collected", k)
}

// muted says whether a root cause of the check has a finding on the same object.
func muted(f Finding, c *Check, found map[string][]Finding) bool {
	for _, cause := range c.After {
		for _, g := range found[cause.Name] {
			if g.On == f.On {
				return true
			}
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
