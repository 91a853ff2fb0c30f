package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
)

const lookAfter = 200 * time.Millisecond

// first reads everything, judges, mends, and looks whether that helped. It says whether the node could be read.
func (l *loop) first(ctx context.Context) bool {
	began, reading := l.clock(), l.mind.begin()
	var s *facts.Snapshot
	err := l.guarded(func() (err error) {
		s, err = l.node.Collect(ctx, l.kinds(), l.intent())
		return err
	})
	if err != nil {
		l.unread(err)
		return false
	}
	renew(s, l.truth.source)
	l.mind.take(nil, s, l.kinds(), reading, began)
	l.mind.born = map[int]time.Time{}
	l.earlyRead, l.readAt = collect.ReadingOf(s, began), began
	l.tookStock(ctx, "start", began, true)
	l.mendDue(ctx, l.clock())
	if !l.todo.empty() {
		l.prove(ctx)
	}
	return true
}

// prove reads again what was mended, so that a node is not called ready, or faulty, before it is known.
func (l *loop) prove(ctx context.Context) {
	began, reading, base := l.clock(), l.mind.begin(), l.mind.now
	t := l.todo.takeAll()
	s, stale, err := l.readAgain(ctx, base, t.options(l.intent()))
	if err != nil {
		l.unread(err)
		return
	}
	l.todo.add(t.cause, stale...)
	kinds := without(t.kinds, stale)
	if t.podsRead() {
		kinds = append(kinds, facts.KindPods)
	}
	l.mind.take(base, s, kinds, reading, began)
	l.tookStock(ctx, t.cause, began, false)
}

func (l *loop) readAgain(ctx context.Context, base *facts.Snapshot, o collect.UpdateOptions) (s *facts.Snapshot, stale []facts.Kind, err error) {
	err = l.guarded(func() (err error) {
		s, stale, err = l.node.Update(ctx, base, o)
		return err
	})
	return s, stale, err
}

// lookQuick reads what the loop reads itself, and judges and mends the tunnels.
func (l *loop) lookQuick(ctx context.Context) {
	began, reading, base := l.clock(), l.mind.begin(), l.mind.now
	urgent := l.todo.urgent
	kinds, cause := l.todo.takeQuick()
	s, stale, err := l.readAgain(ctx, base, collect.UpdateOptions{Kinds: kinds, Intent: l.conf.Intent})
	if err != nil {
		l.quickPace.done(began, l.clock())
		if ctx.Err() == nil {
			l.unread(err)
			l.todo.add(cause, kinds...)
		}
		return
	}
	l.mind.take(base, s, without(kinds, stale), reading, began)
	l.todo.add(cause, stale...)
	l.audit.Cause = cause
	if urgent {
		l.judged(l.judge(device), l.clock())
		l.mendDue(ctx, l.clock())
	}
	l.quickPace.done(began, l.clock())
	l.meter.Audited(l.clock().Sub(began).Seconds())
	l.tally(began, cause, false)
}

func without(kinds, but []facts.Kind) []facts.Kind {
	return slices.DeleteFunc(slices.Clone(kinds), func(k facts.Kind) bool { return slices.Contains(but, k) })
}

// judgeAll lets every dirty check judge.
func (l *loop) judgeAll(ctx context.Context) {
	began := l.clock()
	l.judged(l.judge(all), began)
	l.proofs.try(l.mind.now, l.mind.born, func(f check.Finding) bool { return l.a.o.Suite.Unasked(f, 0) || l.chosen(f.Check) }, began)
	l.judgePace.done(began, l.clock())
	l.looked = true
}

func (l *loop) chosen(name string) bool {
	for _, c := range l.conf.Choices() {
		if c.Check == name {
			return true
		}
	}
	return false
}

// tookStock judges after everything was read, or what was mended.
func (l *loop) tookStock(ctx context.Context, cause string, began time.Time, full bool) {
	l.judgeAll(ctx)
	l.meter.Audited(l.clock().Sub(began).Seconds())
	l.tally(began, cause, full)
}

// tally writes down that a look has ended.
func (l *loop) tally(began time.Time, cause string, full bool) {
	now := l.clock()
	a := &l.audit
	a.At, a.Seconds, a.Cause = began.UTC(), now.Sub(began).Seconds(), cause
	a.Total++
	if full {
		a.Full = began.UTC()
	}
	l.judgedAt.Store(&began)
	l.looked = true
	l.readable(now)
}

// judged makes what checks have said part of the findings' lives.
func (l *loop) judged(which map[string]bool, now time.Time) {
	l.report = l.mind.report()
	fresh := func(on facts.Ref) bool {
		if !l.ready {
			return true
		}
		at, born := l.mind.born[on.Index]
		return born && now.Sub(at) < youngTunnel && on.NetNS == l.mind.now.Host.Inode
	}
	came, went := l.lives.see(now, l.report, which, l.mind.whole, fresh)
	l.decideAll()
	for _, v := range l.lives.sorted(l.conf) {
		if !v.withheld && !slices.Contains(came, v) || !v.believed() {
			continue
		}
		l.lives.tell(v, now)
		l.changed = true
		level := l.log.Info
		if l.conf.Severity(v.finding) > check.Info {
			level = l.log.Warn
		}
		level("found", "check", v.key.check, "severity", l.conf.Severity(v.finding).String(), "on", v.key.name, "message", v.finding.Message)
	}
	for _, v := range went {
		l.changed = true
		l.log.Info("resolved", "check", v.key.check, "on", v.key.name, "fix", v.fix, "lasted", now.Sub(v.first).Round(time.Millisecond).String())
	}
	if l.ready && !slices.Equal(reasons(l.skips), reasons(l.report.Skipped)) {
		l.changed = true
	}
	l.skips, l.audit.Judged = l.report.Skipped, nil
	for _, c := range l.mind.checks {
		if l.mind.whole(c.Name, 0) {
			l.audit.Judged = append(l.audit.Judged, c.Name)
		}
	}
	message := ""
	if len(l.broken) > 0 {
		message = plural(len(l.broken), "check") + " failed by a fault of netmend; the others go on"
	}
	l.conditions.set(now, status.Checks, message)
}

func reasons(skips []check.Skip) []string {
	out := make([]string, len(skips))
	for i, s := range skips {
		out[i] = s.Check + s.Reason
	}
	return out
}

// unread says that nothing could be read.
func (l *loop) unread(err error) {
	now := l.clock()
	l.changed = l.conditions.set(now, status.NodeRead, fmt.Sprintf("what was known before is shown, and is read again in %s: %v", afterFailed, err)) || l.changed
	l.notBefore = now.Add(afterFailed)
}

// readable says which kinds could not be read.
func (l *loop) readable(now time.Time) {
	var lost []string
	for _, k := range l.mind.now.Kinds {
		if why, failed := l.mind.failed(k); failed {
			lost = append(lost, fmt.Sprintf("%s (%s)", k, why))
		}
	}
	message := ""
	if len(lost) > 0 {
		message = "could not read " + strings.Join(lost[:min(len(lost), 3)], "; ")
		if len(lost) > 3 {
			message += fmt.Sprintf("; and %d more kinds", len(lost)-3)
		}
		message += ": checks that need them are skipped"
	}
	l.changed = l.conditions.set(now, status.NodeRead, message) || l.changed
}
