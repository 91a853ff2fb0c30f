package agent

import (
	"fmt"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/report"
	"github.com/netmend/netmend/pkg/serve"
	"github.com/netmend/netmend/pkg/status"
)

const (
	publishSoon  = 50 * time.Millisecond // between two states when something has changed
	publishLater = 2 * time.Second       // when only times have
	maxFixes     = 200                   // that are told
	maxVerdicts  = 200                   // findings for the plugin
)

// publish puts what is known on the board.
func (l *loop) publish(now time.Time) {
	state := serve.State{Status: l.document(now), Verdicts: l.verdicts()}
	if l.mind.now != nil {
		state.Snapshot, state.Report = l.mind.now, l.page()
	}
	l.a.latest.Store(&state)
	l.a.o.Board.Publish(state)
	l.a.o.Published(state.Status)
	l.published, l.changed, l.looked = now, false, false
}

func (l *loop) document(now time.Time) *status.Document {
	d := &status.Document{
		APIVersion: status.APIVersion, Kind: status.Kind, Mode: string(l.conf.Mode), State: l.state(), Ready: l.ready, Started: l.started, At: now.UTC(),
		Versions: l.a.o.Versions, Audit: l.audit, Findings: []status.Finding{}, Resolved: []status.Finding{}, Skipped: []status.Skip{}, Fixes: l.fixes(),
		Chain: l.chain.state, Conditions: l.conditions.list(),
	}
	d.Versions.Schema = facts.Schema
	if l.mind.now == nil {
		return d
	}
	d.Node, d.Versions.Kernel = l.mind.now.Node.Name, l.mind.now.Node.Kernel
	for _, v := range l.lives.sorted(l.conf) {
		if !v.withheld {
			d.Findings = append(d.Findings, l.told(v, now))
		}
	}
	for _, v := range l.lives.over {
		d.Resolved = append(d.Resolved, l.told(v, now))
	}
	for _, s := range l.skips {
		d.Skipped = append(d.Skipped, status.Skip{Check: s.Check, Reason: s.Reason})
	}
	if l.lives.more > 0 {
		d.Skipped = append(d.Skipped, status.Skip{Reason: fmt.Sprintf("%d more findings are not listed", l.lives.more)})
	}
	return d
}

// state sums up. What the configuration ignores does not count.
func (l *loop) state() status.State {
	switch {
	case l.stopping:
		return status.Stopping
	case !l.ready:
		return status.Starting
	}
	for _, v := range l.lives.held {
		if l.conf.Severity(v.finding) >= check.Critical && !v.ignored && !v.withheld {
			return status.Faulty
		}
	}
	if c, told := l.conditions.all[status.NodeRead]; told && !c.OK {
		return status.Unproven
	}
	return status.Proven
}

// told is a finding as others see it.
func (l *loop) told(v *life, now time.Time) status.Finding {
	f := v.finding
	out := status.Finding{
		Check: f.Check, Severity: l.conf.Severity(f), On: f.On, Where: report.Where(l.mind.now, f.On), Message: f.Message, Evidence: f.Evidence,
		FirstSeen: v.first.UTC(), LastSeen: v.last.UTC(), Resolved: v.over, By: v.by, URL: report.Page(f.Check), Ignored: v.ignored,
	}
	if !v.over.IsZero() {
		out.Resolved = v.over.UTC()
		if out.By == "" && v.fix > 0 {
			out.By = fmt.Sprintf("fix %d", v.fix)
		}
		return out
	}
	out.Settled = v.settle(now)
	if len(f.Fixes) > 0 {
		out.Commands = fix.Commands(l.mind.now, f.Fixes[0])
	}
	out.Plan = l.planOf(v)
	return out
}

// planOf says what is done about a finding. It does not change from look to look, so that it is worth a line of a log.
func (l *loop) planOf(v *life) string {
	title := v.proposal.Fix.Title
	switch {
	case v.why != "":
		return v.why
	case l.conf.Mode != config.Fix && v.settled:
		return "would be mended in mode fix: " + title
	case l.conf.Mode != config.Fix:
		return fmt.Sprintf("would be mended in mode fix once it has lasted %s: %s", v.lasting, title)
	case v.outcome != "":
		return v.outcome
	case !v.settled:
		return fmt.Sprintf("is mended once it has lasted %s: %s", v.lasting, title)
	}
	return "is mended now: " + title
}

// fixes are those of the journal that are in force or contested, and what was refused.
func (l *loop) fixes() []status.Fix {
	out := []status.Fix{}
	for _, e := range slices.Backward(l.entries) {
		if !e.InForce() && (e.State != repair.Contested || l.mind.now != nil && e.BootID != l.mind.now.Node.BootID) {
			continue
		}
		if len(out) == maxFixes {
			break
		}
		out = append(out, status.Fix{ID: e.ID, Check: e.Check, On: e.On, Title: e.Title, State: string(e.State), Reason: e.Reason, At: e.Changed.UTC()})
	}
	for _, v := range l.lives.sorted(l.conf) {
		if v.outcome != "" && v.fix == 0 && len(v.finding.Fixes) > 0 && len(out) < maxFixes {
			out = append(out, status.Fix{Check: v.key.check, On: v.finding.On, Title: v.finding.Fixes[0].Title, State: serve.FixRefused, Reason: v.outcome, At: v.last.UTC()})
		}
	}
	return out
}

// page is the report for the live page: what the configuration ignores is not in it, and severities are as it wants them.
func (l *loop) page() *check.Report {
	r := *l.report
	r.Findings = nil
	for _, f := range l.report.Findings {
		if !l.conf.Ignored(l.mind.now, f) && !l.hidden(f.Check, f.On, f.Message) {
			f.Severity = l.conf.Severity(f)
			r.Findings = append(r.Findings, f)
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b check.Finding) int { return int(b.Severity) - int(a.Severity) })
	return &r
}

// verdicts are for the plugin: of the checks whose facts the kernel tells each change of. What differs from the cluster's Services is not among them: of those that
// every pod needs the plugin is told, and they are looked up by themselves; for others' sake no pod is kept waiting.
func (l *loop) verdicts() serve.Verdicts {
	v := serve.Verdicts{Services: l.needed(), AsOf: l.asOf}
	if l.mind.now == nil || !l.ready {
		return serve.Verdicts{AsOf: l.asOf}
	}
	for _, c := range l.mind.checks {
		if l.mind.whole(c.Name, 0) && !slices.ContainsFunc(c.Needs, func(k facts.Kind) bool { return !l.holds(k) }) {
			v.Judged = append(v.Judged, c.Name)
		}
	}
	for _, f := range l.report.Findings {
		if slices.Contains(v.Judged, f.Check) && len(v.Findings) < maxVerdicts && !l.conf.Ignored(l.mind.now, f) && !f.ByTruth {
			v.Findings = append(v.Findings, f)
		}
	}
	return v
}

// holds says whether what was read of a kind is so until the kernel says otherwise. Of packet filters of the legacy backend nobody tells, but where there are none.
func (l *loop) holds(k facts.Kind) bool {
	legacy := slices.ContainsFunc(l.mind.now.Host.Tables, func(t facts.Table) bool { return t.Backend == facts.BackendLegacy })
	switch k {
	case facts.KindLegacy:
		return !legacy
	case facts.KindServiceVIPs:
		return !legacy && (l.mind.now.Proxy == nil || l.mind.now.Proxy.Mode != facts.ModeIPVS)
	}
	return told(k)
}
