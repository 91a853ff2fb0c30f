package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
)

// dearChains is how many chains make a packet filter dear: its counters are then not read each minute.
const dearChains = 2000

// job is something that is read beside the loop.
type job struct {
	todo
	counter bool         // the counters
	told    bool         // it is there because the kernel told of a change
	without []facts.Kind // of the counters

	base    *facts.Snapshot
	reading uint64
	began   time.Time

	s     *facts.Snapshot
	stale []facts.Kind
	count *collect.Reading
	err   error
}

// jobDue says whether something is to be read beside the loop now.
func (l *loop) jobDue(now time.Time) bool {
	if now.Before(l.notBefore) {
		return false
	}
	if !now.Before(l.fullAt) || !now.Before(l.windowAt) {
		return true
	}
	return l.todo.hasSlow() && !now.Before(l.slowPace.next())
}

// startJob begins the most urgent: what the kernel told of, then everything, then the counters.
func (l *loop) startJob(ctx context.Context) {
	now := l.clock()
	j := &job{base: l.mind.now, began: now, reading: l.mind.begin()}
	switch {
	case l.todo.hasSlow() && !now.Before(l.slowPace.next()):
		j.todo = l.todo.takeSlow()
		j.told = true
	case !now.Before(l.fullAt):
		j.full, j.cause = true, "timer"
	default:
		j.counter, j.cause, j.without = true, "window", l.dear()
		l.windowAt = now.Add(l.conf.CounterWindow)
	}
	if j.full {
		l.fullAt, l.truth.due = now.Add(jitter(l.conf.FullAudit)), time.Time{}
	}
	l.job = j
	node, kinds, intent, truth := l.node, l.kinds(), facts.Intent{}, l.truth.source
	read := collect.ReadOptions{Without: j.without, Pods: l.counters, Earlier: l.earlyRead}
	if !j.counter {
		intent = l.intent()
	}
	go func() {
		j.err = l.guarded(func() (err error) {
			switch {
			case j.counter:
				j.count, err = node.Read(ctx, j.base, read)
			case j.full:
				j.kinds = kinds
				j.s, err = node.Collect(ctx, kinds, intent)
			default:
				j.s, j.stale, err = node.Update(ctx, j.base, j.options(intent))
			}
			if slices.Contains(j.kinds, facts.KindServiceRules) {
				renew(j.s, truth)
			}
			return err
		})
		l.jobs <- j // there is room: only one is under way
	}()
}

// dear are the kinds of counters that are not worth their price each minute: packet filters with thousands of chains.
func (l *loop) dear() []facts.Kind {
	var out []facts.Kind
	chains := map[string]int{}
	for _, t := range l.mind.now.Host.Tables {
		chains[t.Backend] += len(t.Chains)
		for _, n := range t.Bulk {
			chains[t.Backend] += n
		}
	}
	if chains[facts.BackendNFT] > dearChains {
		out = append(out, facts.KindNFTables)
	}
	if chains[facts.BackendLegacy] > dearChains {
		out = append(out, facts.KindLegacy)
	}
	return out
}

// finish takes what was read beside the loop.
func (l *loop) finish(ctx context.Context, j *job) {
	l.job = nil
	now := l.clock()
	if !j.counter {
		l.slowPace.done(j.began, now)
	}
	switch {
	case ctx.Err() != nil:
		return
	case j.err != nil && j.counter:
		l.changed = l.conditions.set(now, status.CounterWindow, fmt.Sprintf("counters are no evidence until they can be read: %v", j.err)) || l.changed
		l.earlyRead = nil
		return
	case j.err != nil:
		l.unread(j.err)
		if !errors.Is(j.err, context.Canceled) {
			l.todo.full = true
			l.todo.because(j.cause)
		}
		return
	case j.counter:
		l.window(j)
		return
	}
	kinds := without(j.kinds, j.stale)
	if j.podsRead() {
		kinds = append(kinds, facts.KindPods)
	}
	l.todo.add(j.cause, j.stale...)
	if j.full { // it was read by itself, without the deltas of the last window
		j.base = nil
	}
	l.mind.take(j.base, j.s, kinds, j.reading, j.began)
	if j.full {
		l.endWindow(j)
	}
	for _, k := range kinds {
		if _, failed := l.mind.failed(k); failed {
			l.meter.Unread(k)
		}
	}
	l.tookStock(ctx, j.cause, j.began, j.full)
	if slices.Contains(kinds, facts.KindServiceRules) && l.truth.source != nil {
		l.compared(j, l.clock())
	}
	if j.full {
		l.lookSoon()
		l.fullLook(ctx)
	}
}

// endWindow makes what was just collected the end of a window, which spares a reading of its own.
func (l *loop) endWindow(j *job) {
	if l.earlyRead != nil && j.began.Sub(l.readAt) < l.conf.CounterWindow/2 {
		return // too short to judge by
	}
	j.count, j.without = collect.ReadingOf(j.s, j.began), nil
	l.windowAt = j.began.Add(l.conf.CounterWindow)
	l.window(j)
}

// fullLook does what goes with a look at everything.
func (l *loop) fullLook(ctx context.Context) {
	l.tryKernel()
	if l.conf.Mode != config.Fix {
		l.history()
	}
	if !l.chain.state.Kept {
		l.startChain(ctx)
	}
	freeMemory()
}

// tryKernel says beforehand where nothing could be mended.
func (l *loop) tryKernel() {
	message := ""
	if err := l.node.Writable(); err != nil && l.conf.Mode == config.Fix {
		message = "what is found cannot be mended: " + err.Error()
	}
	l.changed = l.conditions.set(l.clock(), status.KernelWritten, message) || l.changed
}

// window makes a reading of the counters the end of a window, and the beginning of the next.
func (l *loop) window(j *job) {
	early := l.earlyRead
	l.earlyRead, l.readAt = j.count, j.began
	if early == nil {
		return
	}
	s, back := j.count.Since(early, l.mind.now)
	message := ""
	if back > 0 {
		message = plural(back, "counter") + " went back in the last window: it was reset, or has wrapped, and is no evidence in it"
	}
	l.changed = l.conditions.set(l.clock(), status.CounterWindow, message) || l.changed
	l.mind.grew(s, counted(j.without), j.reading, j.began)
	l.tally(j.began, "window", false)
	l.tidy()
}
