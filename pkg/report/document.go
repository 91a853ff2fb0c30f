package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// APIVersion and Kind say what a JSON document is.
const (
	APIVersion = "netmend.io/v1alpha1"
	Kind       = "Report"
)

// Document is the report as programs read it. Fields are added, never changed.
type Document struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Node       Node      `json:"node"`
	Taken      time.Time `json:"taken"`
	Window     float64   `json:"windowSeconds,omitempty"` // 0: one sample, no deltas
	Note       string    `json:"note,omitempty"`          // of whoever took the snapshot
	Summary    Summary   `json:"summary"`
	Findings   []Finding `json:"findings"` // worst first
	Skipped    []Skip    `json:"skipped"`
	Passed     []string  `json:"passed"` // checks that ran and found nothing

	snapshot *facts.Snapshot
	checks   []*check.Check
	version  string
}

// Node says what was audited. A field is empty where it could not be learned.
type Node struct {
	Name         string `json:"name"`
	Kernel       string `json:"kernel"`
	Distribution string `json:"distribution"`
	CNI          string `json:"cni,omitempty"`       // the configuration that the container runtime takes
	ProxyMode    string `json:"proxyMode,omitempty"` // of kube-proxy, or what replaces it
	Pods         int    `json:"pods"`                // network namespaces of pods
	Privileged   bool   `json:"privileged"`          // read as root
}

// Summary counts. Skipped are the checks that did not judge the node at all; for NotApplicable of these there is nothing here to judge, so that nobody
// has to look. Partial are the checks that judged without some of their evidence or some of the pods.
type Summary struct {
	Critical      int `json:"critical"`
	Warning       int `json:"warning"`
	Info          int `json:"info"`
	Passed        int `json:"passed"`
	Skipped       int `json:"skipped"`
	NotApplicable int `json:"notApplicable"`
	Partial       int `json:"partial"`
}

// Finding is one thing that is wrong.
type Finding struct {
	Check    string           `json:"check"`
	Severity check.Severity   `json:"severity"`
	On       facts.Ref        `json:"on"`
	Where    string           `json:"where"`           // the object in words: "eth0 in /run/netns/p1 (nginx, pid 42)"
	Nodes    []string         `json:"nodes,omitempty"` // of a cluster: those that it is about, the ones to mend first
	Message  string           `json:"message"`
	Evidence []check.Evidence `json:"evidence"`
	Fixes    []Fix            `json:"fixes"` // the best first
	URL      string           `json:"url"`
}

// Fix is one way to mend a finding. One without changes is advice.
type Fix struct {
	Title    string       `json:"title"`
	Cost     string       `json:"cost"`
	Auto     bool         `json:"auto"` // may be made without a person asking for it
	Changes  []fix.Change `json:"changes"`
	Commands []string     `json:"commands"` // what a person would run or edit, in order
}

// Skip says what was not judged, and why.
type Skip struct {
	Check   string     `json:"check"`
	Reason  string     `json:"reason"`
	Partial bool       `json:"partial,omitempty"` // it ran, without some of its evidence
	On      *facts.Ref `json:"on,omitempty"`      // the pod's namespace, where it alone was skipped
}

// extent is how much of a check was skipped.
type extent int

const (
	notJudged extent = iota
	judgedInPart
	notApplicable
)

// notApplicableStart is how [check.Run] starts the reason of a check that has nothing to judge.
const notApplicableStart = "not applicable: "

func (s Skip) extent() extent {
	switch {
	case s.Partial || s.On != nil:
		return judgedInPart
	case strings.HasPrefix(s.Reason, notApplicableStart):
		return notApplicable
	}
	return notJudged
}

// How says what makes the fix with that index: nobody, for advice; the daemon or `netmendctl fix`; or only a person who names it.
func (f *Finding) How(index int) string {
	x := f.Fixes[index]
	first := slices.IndexFunc(f.Fixes, func(x Fix) bool { return len(x.Changes) > 0 })
	switch {
	case x.Auto:
		return "may run unasked"
	case len(x.Changes) == 0:
		return ""
	case index == first:
		return "netmendctl fix --check " + f.Check
	}
	return fmt.Sprintf("netmendctl fix --check %s=%d", f.Check, index+1)
}

// Page is the address of a check's page.
func Page(check string) string {
	return "https://github.com/netmend/netmend/blob/main/docs/checks/" + check + ".md"
}
