package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/serve"
	"github.com/netmend/netmend/pkg/status"
)

const (
	beatEvery  = serve.BeatInterval / 2
	pollEvery  = 10 * time.Second // what the loop reads itself, where the kernel does not tell of changes
	longestNap = time.Minute
	gather     = 5 * time.Millisecond // that what is not urgent waits for what comes with it
)

// step does what is due and says when something may be due next.
func (l *loop) step(ctx context.Context) time.Duration {
	now := l.clock()
	if !now.Before(l.beatAt) {
		l.beat(now)
	}
	l.open(ctx, now)
	if l.todo.hasQuick() && !now.Before(l.quickAt()) {
		l.lookQuick(ctx)
	}
	if len(l.mind.dirty) > 0 && !l.clock().Before(l.judgePace.next()) {
		l.judgeAll(ctx)
	}
	l.timers(l.clock())
	if l.job == nil && l.jobDue(l.clock()) {
		l.startJob(ctx)
	}
	if l.mendDue(ctx, l.clock()) {
		l.changed = true
	}
	l.behind.Store(!l.todo.empty() || l.job != nil && l.job.told || len(l.mind.dirty) > 0)
	if now := l.clock(); l.changed && now.Sub(l.published) >= publishSoon || l.looked && now.Sub(l.published) >= publishLater {
		l.publish(now)
	}
	return l.nap(l.clock())
}

// nap is the time until the next thing that the loop has to do by itself.
func (l *loop) nap(now time.Time) time.Duration {
	next := l.beatAt
	sooner := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if l.todo.hasQuick() {
		sooner(l.quickAt())
	}
	if len(l.mind.dirty) > 0 {
		sooner(l.judgePace.next())
	}
	if l.job == nil {
		if l.todo.hasSlow() {
			sooner(l.slowPace.next())
		}
		sooner(l.fullAt)
		sooner(l.windowAt)
	}
	if l.changed {
		sooner(l.published.Add(publishSoon))
	} else if l.looked {
		sooner(l.published.Add(publishLater))
	}
	if l.lookDue && l.conf.Mode == config.Fix {
		sooner(later(l.lookAt, l.journalAgain))
	}
	if !l.watching.Load() {
		sooner(l.pollAt)
	}
	for _, t := range []time.Time{l.settleAt(), l.truthAt()} {
		if !t.IsZero() {
			sooner(t)
		}
	}
	return min(max(0, next.Sub(now)), longestNap)
}

// quickAt is when the loop may look by itself. A tunnel that has changed is looked at sooner.
func (l *loop) quickAt() time.Time {
	at := later(l.quickPace.next(), l.todo.since.Add(gather))
	switch {
	case l.todo.urgent && l.quickPace.end.IsZero():
		at = time.Time{}
	case l.todo.urgent:
		at = l.quickPace.end.Add(l.quickPace.least)
	}
	return later(at, l.notBefore)
}

// beat shows that the loop turns, and looks at the clock.
func (l *loop) beat(now time.Time) {
	l.beatAt = now.Add(beatEvery)
	l.a.o.Board.Beat()
	l.changed = l.conditions.set(now, status.Clock, l.wall.look(now)) || l.changed
}

// timers make what is due by time alone a thing to do.
func (l *loop) timers(now time.Time) {
	if !l.watching.Load() && !now.Before(l.pollAt) {
		l.pollAt = now.Add(pollEvery)
		l.todo.add("timer", quickKinds()...)
		l.todo.add("timer", facts.KindCNIConfig)
	}
	for _, v := range l.lives.held {
		if c := l.checks[v.key.check]; c != nil && v.unsure() && !now.Before(v.since.Add(v.lasting)) {
			if v.withheld {
				l.lookAtTruth(now, "settle")
			}
			l.todo.add("settle", c.Needs...)
			l.todo.object("settle", v.key.netns, l.mind.now.Host.Inode)
			v.asked = true
		}
	}
	l.looksAtTruth(now)
}

// settleAt is when the next finding has to be looked at once more, or may be mended; zero for none.
func (l *loop) settleAt() (at time.Time) {
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	for _, v := range l.lives.held {
		switch {
		case v.unsure():
			sooner(v.since.Add(v.lasting))
		case l.conf.Mode == config.Fix && v.why == "" && v.settled:
			sooner(later(v.again, l.journalAgain))
		}
	}
	return at
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// jitter spreads what many nodes do at the same interval: a tenth more or less.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// freeMemory gives back what an audit of everything has used for a moment.
func freeMemory() { debug.FreeOSMemory() }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
