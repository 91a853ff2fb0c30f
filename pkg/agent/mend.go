package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/serve"
)

// When a fix that could not be made is tried again.
const (
	afterMade    = 10 * time.Second // the finding should have gone
	afterRefused = 5 * time.Minute  // a limit, or a fight with somebody
	afterStale   = time.Second      // the node was not as it was read
	afterFailed  = 10 * time.Second // at first; twice as long each next time
	mostFailed   = 10 * time.Minute
	afterBusy    = time.Second
	longBusy     = time.Minute // after which a locked journal is a condition
)

// mendDue makes the fixes that are due, where the mode allows it. It says whether it has made any.
func (l *loop) mendDue(ctx context.Context, now time.Time) (made bool) {
	if l.conf.Mode != config.Fix || now.Before(l.journalAgain) {
		return false
	}
	var due []*life
	for _, v := range l.lives.held {
		if v.settle(now) && v.why == "" && !now.Before(v.again) {
			due = append(due, v)
		}
	}
	look := l.lookDue && !now.Before(l.lookAt)
	if len(due) == 0 && !look {
		return false
	}
	byRank(due, l.conf)
	var proposals []fix.Proposal
	for _, v := range due {
		proposals = append(proposals, v.proposal)
	}
	find := func(p fix.Proposal) *life {
		for i, q := range proposals {
			if q.Check == p.Check && q.On == p.On && q.Message == p.Message {
				return due[i]
			}
		}
		return nil
	}
	plan, refused := fix.Plan(proposals)
	for _, r := range refused {
		if v := find(r.Proposal); v != nil {
			v.outcome, v.again = r.Why, now.Add(afterFailed)
		}
	}
	if len(plan) == 0 && !look {
		return false
	}
	l.session(ctx, 0, func(m *repair.Mender) {
		for _, p := range plan {
			if ctx.Err() == nil {
				made = l.apply(ctx, m, p, find(p)) || made
			}
		}
	})
	return made
}

// decideAll says of each finding what would mend it, and why that is not done, if so.
func (l *loop) decideAll() {
	choices := l.conf.Choices()
	for _, v := range l.lives.held {
		v.ignored, v.lasting = l.conf.Ignored(l.mind.now, v.finding), l.lasting(v.key.check)
		v.proposal, v.why = l.decide(v, choices)
	}
}

func (l *loop) decide(v *life, choices []audit.Choice) (p fix.Proposal, why string) {
	proposals, others := l.a.o.Suite.Propose(&check.Report{Findings: []check.Finding{v.finding}}, choices)
	switch {
	case v.ignored:
		return p, "nothing: the configuration ignores it"
	case len(proposals) == 1 && l.conf.Forbidden(v.key.check):
		return proposals[0], "nothing: the configuration forbids fixes of this check"
	case len(proposals) == 1:
		return proposals[0], ""
	case len(others) == 1: // which speaks of a flag of netmendctl; here it is a key
		flag, key := "--check "+v.key.check, "checks."+v.key.check+".fix: on in the configuration"
		return others[0].Proposal, strings.Replace(others[0].Why, flag, key, 1)
	}
	return p, "no fix is known"
}

// lasting is how long a finding of the check must last before it is acted upon.
func (l *loop) lasting(name string) time.Duration {
	c := l.checks[name]
	switch {
	case c == nil:
		return leastSettle
	case l.conf.Checks[name].Settle != nil:
		return l.conf.Settle(c)
	}
	return max(c.Settle, leastSettle)
}

// apply makes one fix of a finding, nil for a fault that is only expected, and says whether it was made.
func (l *loop) apply(ctx context.Context, m *repair.Mender, p fix.Proposal, v *life) bool {
	e, err := m.Apply(ctx, p)
	now := l.clock()
	if v == nil {
		v = &life{}
	}
	result := serve.FixVerified
	switch {
	case err == nil:
		v.fix, v.outcome, v.again, v.pause = e.ID, fmt.Sprintf("mended by fix %d; it is looked at again", e.ID), now.Add(afterMade), 0
	case errors.Is(err, repair.ErrContested):
		result, v.outcome, v.again = serve.FixContested, "not mended: "+err.Error(), now.Add(afterRefused)
	case errors.Is(err, repair.ErrBudget), errors.Is(err, repair.ErrInForce):
		result, v.outcome, v.again = serve.FixRefused, "not mended: "+err.Error(), now.Add(afterRefused)
	case errors.Is(err, fix.ErrPrecondition), errors.Is(err, host.ErrGone):
		result, v.outcome, v.again = serve.FixRefused, "not mended: "+err.Error(), now.Add(afterStale)
	default:
		result = serve.FixFailed
		if e.ID == 0 {
			result = serve.FixRefused
		}
		v.pause = min(max(afterFailed, 2*v.pause), mostFailed)
		v.outcome, v.again = "not mended: "+err.Error(), now.Add(v.pause)
	}
	l.blame(err, now)
	l.meter.Fixed(p.Check, result)
	l.changed = true
	if c := l.checks[p.Check]; c != nil && (err == nil || v.again.Sub(now) == afterStale) {
		l.todo.add("fix", c.Needs...)
		l.todo.object("fix", p.On.NetNS, l.mind.now.Host.Inode)
	}
	if errors.Is(err, host.ErrGone) { // it was deleted meanwhile: there is nothing to mend
		l.log.Debug("a fix was not made", "check", p.Check, "on", p.On.Name, "error", err)
		return false
	}
	if err != nil {
		l.once(v, "a fix was not made", "check", p.Check, "on", p.On.Name, "fix", p.Fix.Title, "error", err)
		return false
	}
	v.said = ""
	l.log.Info("mended", "check", p.Check, "on", p.On.Name, "fix", p.Fix.Title, "id", e.ID, "undo", fmt.Sprintf("netmendctl undo %d", e.ID))
	if c := l.checks[p.Check]; c != nil {
		l.proofs.learn(l.mind.now, c, p, v.finding, now)
	}
	return true
}

// once logs what is said of a finding, if it is not what was said last.
func (l *loop) once(v *life, message string, args ...any) {
	if said := fmt.Sprint(args...); said != v.said {
		v.said = said
		l.log.Warn(message, args...)
	}
}
