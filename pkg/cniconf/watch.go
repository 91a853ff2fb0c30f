package cniconf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/nodefs"
)

// Event is a look at the files that somebody should hear of: the first, one that changed something, and one whose state is another than that of the last.
type Event struct {
	Outcome
	Err   error         // of this look; the next may do better. ErrNoConfig where no network is installed yet
	Again time.Duration // when to look again at the latest, without an event
}

const (
	quiet      = 50 * time.Millisecond  // an installer writes several files in turn
	longest    = 400 * time.Millisecond // but a directory that is never quiet is looked at all the same
	soon       = 250 * time.Millisecond // to a file that is being written
	retry      = 10 * time.Second       // after an error
	patience   = 10 * time.Minute       // without an event: a file behind a symbolic link changes without one
	lostEvents = time.Second            // where inotify cannot be had or has failed
)

// Watch keeps the plugin in the chain until the context ends, and tells what it did. It looks when something changes in the directories of configuration
// and programs, answers another's rewrite within half a second, and gives way to somebody who rewrites more than 5 times in a minute: for a minute at
// first, then longer each time. Without inotify it looks each second. Its error is the context's.
func (k *Keeper) Watch(ctx context.Context, report func(Event)) error {
	n, err := nodefs.NewNotifier()
	var heard <-chan struct{}
	if err != nil {
		report(Event{Err: fmt.Errorf("watch CNI configuration: %w", err), Again: lostEvents})
	} else {
		defer n.Close()
		heard = n.Changed()
	}
	w := watcher{k: k, report: report, now: time.Now}
	for {
		most := patience
		if heard == nil || n.Watch(k.o.ConfDir, k.o.BinDir) != nil {
			most = lostEvents
		}
		again := min(w.look(ctx), most)
		if !wait(ctx, &heard, again) {
			return ctx.Err()
		}
	}
}

// wait returns when it is time to look; false: never again. Where reading fails, nothing is heard from then on.
func wait(ctx context.Context, heard *<-chan struct{}, again time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(again):
		return true
	case _, ok := <-*heard:
		if !ok {
			*heard = nil // from now on by time
			return ctx.Err() == nil
		}
	}
	for latest := time.After(longest); ; {
		select {
		case <-ctx.Done():
			return false
		case <-latest:
			return true
		case <-time.After(quiet):
			return true
		case _, ok := <-*heard:
			if !ok {
				*heard = nil
				return ctx.Err() == nil
			}
		}
	}
}

// watcher is what Watch remembers from look to look.
type watcher struct {
	k      *Keeper
	report func(Event)
	now    func() time.Time
	limit  limiter
	inside bool   // the plugin was in the chain
	last   string // what was reported
}

// look looks once and says when to look again at the latest.
func (w *watcher) look(ctx context.Context) time.Duration {
	o, err := w.k.once(ctx, w.k.planInstall, w.veto)
	e := Event{Outcome: *o, Err: err, Again: patience}
	switch {
	case ctx.Err() != nil:
		return patience
	case o.Waiting != "":
		e.Again = soon
	case o.Rival != "":
		e.Again = w.limit.blocked(w.now())
	case err != nil && !errors.Is(err, ErrNoConfig):
		e.Again = retry
	case err == nil:
		if w.inside && slices.ContainsFunc(o.Steps, changesChain) {
			w.limit.answered(w.now())
		}
		w.inside = true
	}
	state := fmt.Sprintf("%s|%v|%s|%s|%v", o.File, o.Chain, o.Rival, o.Warnings, err)
	if o.Waiting == "" && (o.Changed() || state != w.last) {
		w.last = state
		w.report(e)
	}
	return e.Again
}

// veto takes the chain's steps out of a plan while netmend gives way. The program is put back all the same: somebody may still run it.
func (w *watcher) veto(p *plan) {
	if !slices.ContainsFunc(p.out.Steps, changesChain) || !w.inside || w.limit.may(w.now()) {
		return
	}
	p.out.Steps = slices.DeleteFunc(p.out.Steps, changesChain)
	p.unchanged()
	p.out.Rival = rival(p.out.File, p.out.Chain)
}

func changesChain(s Step) bool { return s.Op != Copy }
