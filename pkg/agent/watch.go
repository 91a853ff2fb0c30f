package agent

import (
	"context"
	"errors"
	"time"

	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/status"
)

const (
	watchAgain = time.Second // after the source of events has failed; twice as long each next time
	watchMost  = time.Minute
	watchStart = 3 * time.Second // that the first audit waits for it
)

var errNoEvents = errors.New("the kernel does not tell of changes")

// watch keeps the source of events running. It has a goroutine of its own.
func (l *loop) watch(ctx context.Context) {
	for pause := watchAgain; ; pause = min(2*pause, watchMost) {
		began := time.Now()
		err := l.node.Watch(ctx, l.event)
		l.watching.Store(false)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errNoEvents
		}
		l.a.SetCondition(status.KernelEvents, deaf(err.Error()))
		if time.Since(began) > watchMost {
			pause = watchAgain
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// event takes one change. The first says that everything is heard of from now on.
func (l *loop) event(c host.Change) {
	l.watching.Store(c.Deaf == "")
	var err error
	if c.Deaf != "" {
		err = deaf(c.Deaf)
	}
	l.a.in.put(func() {
		l.a.in.events++
		add(&l.a.in.change, c)
		l.a.in.conditions[status.KernelEvents] = err
	})
	l.heard.Do(func() { close(l.hears) })
}

// awaitEvents waits until what is read misses nothing that happens later, or it is clear that this cannot be had.
func (l *loop) awaitEvents(ctx context.Context) {
	timeout := time.NewTimer(watchStart)
	defer timeout.Stop()
	select {
	case <-l.hears:
	case <-timeout.C:
	case <-ctx.Done():
	}
	l.a.in.dropChange() // what was told of is about to be read
}

// deaf says what is not heard of, and what is done about it.
type deaf string

func (d deaf) Error() string {
	return string(d) + "; the node is looked at every " + pollEvery.String() + " instead"
}
