package plugin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
)

// The verdicts, as log and daemon get them.
const (
	verdictPass   = "pass"
	verdictOff    = "off"
	verdictWarn   = "warn"
	verdictRefuse = "refuse"
	verdictError  = "error"
)

// page is where a check is explained.
const page = "https://github.com/netmend/netmend/blob/main/docs/checks/"

// outcome is what came of judging.
type outcome struct {
	verdict  string
	report   *check.Report
	snapshot *facts.Snapshot
	left     []string // Services of which nothing certain can be said
	cached   []string // checks that the daemon answered for
	refused  []check.Finding
	warned   []check.Finding
	unjudged []check.Skip // what a pod is refused for where failurePolicy is Fail
	mended   []string
	mtu      map[string]int // links whose MTU was changed
	host     *host.Host     // for mending; nil where the reading has not ended
	exempt   bool

	err      error
	panicked string
	stack    string
}

// decide sorts the findings by the modes of their checks. Infos are for the log alone.
func (v *outcome) decide(c *call) {
	v.exempt = c.exempt()
	for _, f := range v.report.Findings {
		switch {
		case f.Severity < check.Warning:
		case c.conf.modeOf(f.Check) == ModeEnforce && !v.exempt:
			v.refused = append(v.refused, f)
		default:
			v.warned = append(v.warned, f)
		}
	}
	if c.conf.FailurePolicy == Fail && !v.exempt {
		for _, s := range v.report.Skipped {
			if c.conf.modeOf(s.Check) == ModeEnforce && !s.Partial && !notApplicable(s) {
				v.unjudged = append(v.unjudged, s)
			}
		}
	}
	switch {
	case len(v.refused) > 0 || len(v.unjudged) > 0:
		v.verdict = verdictRefuse
	case len(v.warned) > 0:
		v.verdict = verdictWarn
	default:
		v.verdict = verdictPass
	}
}

// notApplicable says whether a check was skipped because there is nothing to judge.
func notApplicable(s check.Skip) bool {
	return strings.HasPrefix(s.Reason, "not applicable:") || strings.Contains(s.Reason, host.ErrAbsent.Error())
}

// finish logs and reports the outcome and gives the error that the request ends with; nil for none.
func (p *Plugin) finish(c *call, v *outcome) error {
	err := v.refusal(c)
	r := c.record(v)
	if err != nil {
		r.Code, r.Message = err.Code, err.Msg
	}
	c.log.write(r)
	c.log.warn(r)
	c.tell(r)
	if err == nil {
		return nil
	}
	return err
}

// refusal makes the CNI error of an outcome; nil where the request succeeds.
func (v *outcome) refusal(c *call) *types.Error {
	switch {
	case v.err != nil:
		if e, ok := v.err.(*types.Error); ok {
			return e
		}
		return types.NewError(types.ErrInternal, v.err.Error(), "")
	case v.panicked != "" && c.conf.FailurePolicy == Fail && !c.exempt():
		return types.NewError(types.ErrInternal, "netmend: internal error: "+v.panicked, "the log has the stack; failurePolicy Ignore lets pods pass")
	case v.verdict != verdictRefuse:
		return nil
	case len(v.refused) == 0:
		s := v.unjudged[0]
		return types.NewError(codeUnjudged, fmt.Sprintf("netmend: %s could not be judged: %s%s", s.Check, oneLine(s.Reason), more(len(v.unjudged)-1)),
			"failurePolicy is Fail: the pod is refused where an enforced check could not be made")
	}
	worst := v.refused[0]
	for _, f := range v.refused { // of equals, what is wrong with the pod itself
		if f.Severity > worst.Severity || f.Severity == worst.Severity && v.ofPod(f) && !v.ofPod(worst) {
			worst = f
		}
	}
	code := codeOf(worst.Check)
	if c.command == "STATUS" {
		code = codeNotReady
	}
	return types.NewError(code, fmt.Sprintf("netmend: %s: %s: %s%s", worst.Check, oneLine(worst.On.Name), oneLine(worst.Message), more(len(v.refused)-1)), v.details(worst))
}

// ofPod says whether a finding is on the pod's own link.
func (v *outcome) ofPod(f check.Finding) bool {
	return v.snapshot != nil && slices.ContainsFunc(v.snapshot.Pods, func(p facts.Namespace) bool { return p.Inode == f.On.NetNS })
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}

// details gives evidence, fix and page in one line: runtimes print it behind the message.
func (v *outcome) details(f check.Finding) string {
	var parts []string
	for _, e := range f.Evidence {
		text := e.Fact + " is " + e.Got
		if e.Want != "" {
			text += " (want " + e.Want + ")"
		}
		parts = append(parts, text)
	}
	out := ""
	if len(parts) > 0 {
		out = "evidence: " + strings.Join(parts, ", ") + "; "
	}
	if way := v.remedy(f); way != "" {
		out += "fix: " + way + "; "
	}
	return oneLine(out + "see " + page + f.Check + ".md")
}

// remedy is the first fix of a finding in one line: its title and its commands.
func (v *outcome) remedy(f check.Finding) string {
	if len(f.Fixes) == 0 {
		return ""
	}
	x := f.Fixes[0]
	lines := x.Advice
	if len(x.Changes) > 0 && v.snapshot != nil {
		lines = fix.Commands(v.snapshot, x)
	}
	if len(lines) == 0 {
		return x.Title
	}
	lines = slices.Clone(lines)
	for i := range lines {
		lines[i], _, _ = strings.Cut(lines[i], "  # ")
	}
	return x.Title + ": " + strings.Join(lines, "; ")
}

// oneLine takes the line breaks and control characters out of a text, which may hold names that others chose.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
