package audit

import (
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// Kinds is what must be collected so that the checks can judge: what they need and what they want as evidence, and the pods' namespaces where a
// check judges pods. The order is that of [facts.NamespaceKinds] and [facts.NodeKinds].
func Kinds(list []*check.Check) []facts.Kind {
	asked := map[facts.Kind]bool{}
	for _, c := range list {
		for _, k := range c.Needs {
			asked[k] = true
		}
		for _, k := range c.Wants {
			asked[k] = true
		}
		if c.Pods {
			asked[facts.KindPods] = true
		}
	}
	var out []facts.Kind
	for _, k := range append(facts.NamespaceKinds(), facts.NodeKinds()...) {
		if asked[k] {
			out = append(out, k)
		}
	}
	return out
}

// Judge runs the checks over a snapshot. Beyond [check.Run] it says which of the skipped ones root could judge.
func Judge(s *facts.Snapshot, list []*check.Check) *check.Report {
	r := check.Run(s, list)
	noteDenied(s, r)
	return r
}

// JudgeOne is [Judge] for one check whose report is to be joined with others by [check.Join].
func JudgeOne(s *facts.Snapshot, c *check.Check) *check.Report {
	r := check.One(s, c)
	noteDenied(s, r)
	return r
}

func noteDenied(s *facts.Snapshot, r *check.Report) {
	if s.Node.Privileged {
		return
	}
	for i := range r.Skipped {
		if denied(r.Skipped[i].Reason) {
			r.Skipped[i].Reason += " (run as root)"
		}
	}
}

// denied says whether a reason is one of the two that the kernel gives for want of privilege, EACCES and EPERM.
func denied(reason string) bool {
	return strings.Contains(reason, "permission denied") || strings.Contains(reason, "operation not permitted")
}

// Failed says whether the report holds a finding at or above a severity.
func Failed(r *check.Report, at check.Severity) bool {
	for _, f := range r.Findings {
		if f.Severity >= at {
			return true
		}
	}
	return false
}
