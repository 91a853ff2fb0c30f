package agent

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/status"
)

// open takes what others have put into the inbox.
func (l *loop) open(ctx context.Context, now time.Time) {
	in := l.a.in.take()
	for _, name := range slices.Sorted(maps.Keys(in.conditions)) {
		message := ""
		err := in.conditions[name]
		if errors.Is(err, errForget) {
			l.changed = l.conditions.forget(name) || l.changed
			continue
		}
		if err != nil {
			message = err.Error()
		}
		l.changed = l.conditions.set(now, name, message) || l.changed
	}
	for _, n := range in.news {
		l.hear(n)
	}
	if in.config != nil {
		l.configure(ctx, in.config)
	}
	l.heed(in, now)
	if in.events == 0 || l.mind.now == nil {
		return
	}
	c := in.change
	if c.Lost {
		l.log.Info("events were lost: what they tell of is read again", "cause", c.Cause)
		l.lookSoon()
	}
	l.glance(ctx, c.Links)
	if l.todo.empty() {
		l.todo.since = now
	}
	l.todo.add(c.Cause, also(c.Kinds)...)
	if slices.ContainsFunc(c.Kinds, func(k facts.Kind) bool { return k == facts.KindNFTables || k == facts.KindIPVS }) {
		l.lookAtTruth(now.Add(afterRules), c.Cause)
	}
	if len(c.Links) > 0 {
		l.todo.add(c.Cause, also([]facts.Kind{facts.KindLinks})...)
	}
	if c.Pods {
		l.todo.pods = true
		l.todo.because(c.Cause)
	}
	if slices.Contains(c.Kinds, facts.KindCNIConfig) && !l.chain.state.Kept && l.ready {
		l.startChain(ctx)
	}
}

// configure puts another configuration in force.
func (l *loop) configure(ctx context.Context, c *config.Config) {
	was := l.conf
	l.conf, l.proofs, l.changed = c, proofs{}, true
	for _, v := range l.lives.held {
		v.outcome, v.again, v.settled, v.asked = "", time.Time{}, false, false
	}
	if l.mind.now != nil {
		l.decideAll()
	}
	now := l.clock()
	l.fullAt, l.windowAt = now.Add(jitter(c.FullAudit)), now.Add(c.CounterWindow)
	if was.Mode != c.Mode {
		l.log.Info("mode", "was", string(was.Mode), "is", string(c.Mode))
		l.tryKernel()
		if c.Mode == config.Fix {
			l.session(ctx, 0, func(*repair.Mender) {})
		}
	}
	if was.Mode != c.Mode || was.KeepChain != c.KeepChain || string(was.Entry) != string(c.Entry) {
		l.startChain(ctx)
	}
	l.todo.full = true
	l.todo.because("configuration")
}

// hear takes what the plugin reports: the pods are looked at.
func (l *loop) hear(r status.Report) {
	l.log.Info("told by the plugin", "command", r.Command, "verdict", r.Verdict, "pod", r.Pod, "message", r.Message)
	if l.mind.now != nil {
		l.todo.pods = true
		l.todo.because("plugin")
	}
}
