package check

import (
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// Check is one thing that can be wrong with a node's pod network.
type Check struct {
	Name  string // kebab-case, permanent: file name, metric label, page and configuration key
	Title string // one line, for lists
	Doc   string // by hand: what breaks, how it is seen, the fix and its undo, sources; see [Check.Markdown]
	Since string // the version of netmend that brought it

	Needs  []facts.Kind // without any of these on the node it is skipped
	Wants  []facts.Kind // evidence: without it the check runs and says what it did without
	Pods   bool         // it also judges each pod; a pod without a needed kind is skipped by itself
	Window Use          // whether it uses counter deltas
	// Counters are those of [facts.Counters] whose deltas it asks for in pods: a daemon keeps no others of hundreds of them.
	Counters []string

	Severity Severity      // the highest that it reports
	Settle   time.Duration // how long a finding must last before a daemon acts on it
	After    []*Check      // root causes: their finding on the same object mutes this one's

	// NotApplicable says why there is nothing to judge on this node ("no IPVS in this kernel"); empty where there is. It may be nil.
	NotApplicable func(*facts.Snapshot) string
	// Run is pure (no clock, no I/O, the same findings in the same order for the same facts) and total (it never panics).
	Run func(*facts.Snapshot) []Finding
}

// Markdown is Doc as Markdown. In Doc a tilde stands for the backquote, which a raw string of Go cannot hold. It is put right here and not where the check is
// declared, because the CNI plugin links every check, shows no page, and starts for each pod.
func (c *Check) Markdown() string {
	return strings.TrimSpace(strings.ReplaceAll(c.Doc, "~", "`")) + "\n"
}

// Use says how a check uses the window between two samples.
type Use int

// The uses of a window. The zero value is NoWindow.
const (
	NoWindow    Use = iota
	WantsWindow     // deltas are evidence; without them it judges what it can
	NeedsWindow     // it judges deltas alone; without a window it is skipped
)

// Finding is one thing that is wrong, with what proves it and what would mend it.
type Finding struct {
	Check    string     `json:"check"` // filled in by [Run]
	Severity Severity   `json:"severity"`
	On       facts.Ref  `json:"on"`
	Message  string     `json:"message"` // one line with the values
	Evidence []Evidence `json:"evidence,omitempty"`
	Fixes    []fix.Fix  `json:"fixes,omitempty"` // the best first
	// ByTruth says that it compares the node with what the Kubernetes API told. The two never change at one moment, so whoever looks again and again
	// believes it when it has lasted.
	ByTruth bool `json:"-"`
}

// Evidence is one fact that a finding rests on.
type Evidence struct {
	Fact string `json:"fact"`
	Got  string `json:"got"`
	Want string `json:"want,omitempty"` // empty where there is no single right value
}

// Skip says what was not judged, and why.
type Skip struct {
	Check   string     `json:"check"`
	On      *facts.Ref `json:"on,omitempty"`      // the pod's namespace, where it alone was skipped
	Partial bool       `json:"partial,omitempty"` // it ran, without some of its evidence
	Reason  string     `json:"reason"`
}

// Report is what a run of checks gives, sorted: worst first, then by check and object.
type Report struct {
	Findings []Finding `json:"findings"`
	Skipped  []Skip    `json:"skipped"`
	Passed   []string  `json:"passed"` // checks that ran and found nothing
}

// Count is the number of findings of a severity.
func (r *Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}
