package agent

import (
	"context"
	"time"

	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/repair"
)

// glance looks at single links that an event names, and at once mends a tunnel that was made anew with a fault that was proven before.
func (l *loop) glance(ctx context.Context, indexes []int) {
	var ask []int
	for _, i := range indexes {
		known := l.mind.now.Host.Link(i)
		if known == nil || known.Tunnel != nil {
			ask = append(ask, i)
		}
		if l.mended(i) {
			l.lookSoon()
		}
	}
	if len(ask) == 0 {
		return
	}
	var links []facts.Link
	err := l.guarded(func() (err error) {
		links, err = l.node.Glance(ask)
		return err
	})
	if err != nil {
		l.log.Debug("glance", "error", err) // the look that follows says it
		return
	}
	now := l.clock()
	for i := range links {
		if links[i].Tunnel == nil {
			continue
		}
		l.todo.urgent = true
		if p, ok := l.proofs.fits(&links[i], now); ok && l.conf.Mode == config.Fix && !now.Before(l.journalAgain) {
			l.mendAnew(ctx, p)
		}
	}
}

// lookSoon has the fixes in force looked at in a moment: a device that has gone is often made anew at once, and is mended before.
func (l *loop) lookSoon() {
	if !l.lookDue {
		l.lookDue, l.lookAt = true, l.clock().Add(lookAfter)
	}
}

// mended says whether a fix is in force on a link of the node.
func (l *loop) mended(index int) bool {
	for i := range l.entries {
		e := &l.entries[i]
		if e.InForce() && e.On.Index == index && e.On.NetNS == l.mind.now.Host.Inode {
			return true
		}
	}
	return false
}

// mendAnew mends a tunnel that was made anew, and writes down that it had the fault.
func (l *loop) mendAnew(ctx context.Context, p fix.Proposal) {
	known := l.proofs[p.On.Name]
	v := &life{again: time.Time{}}
	l.session(ctx, 0, func(m *repair.Mender) {
		if !l.apply(ctx, m, p, v) {
			return
		}
		now := l.clock()
		known.finding, known.proposal = known.expected(p), p
		k := key{p.Check, p.On.NetNS, p.On.Name, 0}
		if l.lives.held[k] == nil {
			lived := l.lives.born(k, known.finding, now)
			lived.fix, lived.seen, lived.static = v.fix, 1, true
			l.lives.end(lived, now)
		} else {
			l.lives.held[k].fix = v.fix
		}
	})
}
