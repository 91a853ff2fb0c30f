package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/cniconf"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/status"
)

const (
	pluginName = "netmend"
	planTime   = 2 * time.Second // for a plan of the chain while somebody writes its files
)

// chainKeeper keeps the plugin in the chain beside the loop, or in a mode in which nothing is changed looks what is in it.
type chainKeeper struct {
	cancel context.CancelFunc // nil: nothing is kept
	ended  chan struct{}
	events chan chainEvent
	state  status.Chain
	told   bool // something is known of the chain
}

type chainEvent struct {
	cniconf.Event
	kept bool
}

func (l *loop) chainOptions() cniconf.Options {
	return cniconf.Options{Root: l.root, Plugin: l.a.o.Plugin, Entry: l.conf.Entry, Who: "netmendd", Wait: afterBusy}
}

// startChain begins to keep the chain as the configuration wants it, or to say what it is.
func (l *loop) startChain(ctx context.Context) {
	l.stopChain()
	keeper, err := cniconf.New(l.chainOptions())
	if err != nil {
		l.takeChain(chainEvent{Event: cniconf.Event{Err: err}})
		return
	}
	ctx, l.chain.cancel = context.WithCancel(ctx)
	ended, events, keep := make(chan struct{}), l.chain.events, l.conf.Mode == config.Fix && l.conf.KeepChain
	l.chain.ended = ended
	report := func(e cniconf.Event) {
		select {
		case events <- chainEvent{e, keep}:
		case <-ctx.Done():
		}
	}
	go func() {
		defer close(ended)
		if keep {
			_ = keeper.Watch(ctx, report) // its error is the context's
			return
		}
		ctx, cancel := context.WithTimeout(ctx, planTime)
		defer cancel()
		o, err := keeper.PlanInstall(ctx)
		report(cniconf.Event{Outcome: *o, Err: err})
	}()
}

// stopChain returns when nothing is kept any more.
func (l *loop) stopChain() {
	if l.chain.cancel == nil {
		return
	}
	l.chain.cancel()
	<-l.chain.ended
	l.chain.cancel = nil
	for {
		select {
		case <-l.chain.events: // of what was stopped
		default:
			return
		}
	}
}

// takeChain makes an event of the keeper, or a plan, the state of the chain.
func (l *loop) takeChain(e chainEvent) {
	was := l.chain.state
	s := status.Chain{Kept: e.kept, File: e.File, Network: e.Network, Plugins: e.Chain, Waiting: e.Waiting, Rival: e.Rival}
	s.In = slices.Contains(e.Chain, pluginName)
	if would := slices.ContainsFunc(e.Steps, func(s cniconf.Step) bool { return s.Op != cniconf.Copy }); would && !e.kept {
		s.In = false
		s.Plugins = slices.DeleteFunc(slices.Clone(e.Chain), func(p string) bool { return p == pluginName })
		s.Waiting = "it would be inserted in mode fix, with keepChain"
	}
	message := ""
	switch {
	case errors.Is(e.Err, cniconf.ErrNoConfig):
		s.Waiting = e.Err.Error()
	case e.Err != nil:
		s.Error = e.Err.Error()
		message = "the plugin is not kept in the chain: " + s.Error
	case e.Rival != "":
		message = "netmend gives way to another program that rewrites the configuration: " + e.Rival
	}
	l.chain.state, l.chain.told = s, true
	l.conditions.set(l.clock(), status.ChainKept, message)
	for _, w := range e.Warnings {
		l.log.Warn("CNI configuration", "warning", w)
	}
	if was.File != s.File || was.In != s.In || !slices.Equal(was.Plugins, s.Plugins) {
		l.log.Info("chain of CNI plugins", "file", s.File, "plugins", s.Plugins, "in", s.In, "waiting", s.Waiting)
	}
	l.changed = true
}
