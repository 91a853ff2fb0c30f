package herald

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/status"
)

// Say is what is told. The zero value is nothing.
type Say struct {
	Report    bool // the NodeNetworkReport
	Condition bool // of the Node
	Events    bool // of the Node and of pods
	Taint     bool // the startup taint
}

// Pace is when things are told. Zero fields have the values that docs/daemon.md tells.
type Pace struct {
	Settle    time.Duration // a change must have lasted before it is told; so long it is between two writes at least
	Addresses time.Duration // as Settle, where only pods' addresses have changed
	Numbers   time.Duration // as Settle, where only numbers in texts have
	Starting  time.Duration // a daemon that is not ready yet is not told of before
	Look      time.Duration // between two looks at what others may have changed of the node's objects
	Heartbeat time.Duration // of the condition
	Refused   time.Duration // before what the API server refuses is tried again
	Absent    time.Duration // before a Node that is not there yet is asked for again
	Taint     time.Duration // between two attempts to take the taint, each up to twice as long
	Spread    time.Duration // up to so long a node waits before the first of them
}

func (p Pace) filled() Pace {
	for _, f := range []struct {
		to *time.Duration
		d  time.Duration
	}{
		{&p.Settle, 5 * time.Second}, {&p.Addresses, time.Minute}, {&p.Numbers, 30 * time.Minute}, {&p.Starting, time.Minute}, {&p.Look, 5 * time.Minute},
		{&p.Heartbeat, time.Hour}, {&p.Refused, 5 * time.Minute}, {&p.Absent, 30 * time.Second}, {&p.Taint, 5 * time.Minute}, {&p.Spread, 30 * time.Second},
	} {
		if *f.to == 0 {
			*f.to = f.d
		}
	}
	return p
}

// Options are what a Herald needs.
type Options struct {
	Client *kube.Client
	Node   string // name of the Node
	Say    Say
	Pace   Pace
	Clock  Clock
	// Health hears why something cannot be told, and nil when everything can; only when that changes. It must not wait. nil: nobody wants to know.
	Health func(error)
	Log    *slog.Logger // nil: none
}

// maxNews bounds what the plugin told and nobody has looked at yet.
const maxNews = 32

// Herald tells. Make one with [New]. Its exported methods may be called by several goroutines, but Run once.
type Herald struct {
	o     Options
	pace  Pace
	clock Clock
	log   *slog.Logger
	wake  chan struct{}

	mu    sync.Mutex
	say   Say
	doc   *status.Document
	facts *facts.Snapshot
	news  []status.Report

	told // of the goroutine of Run
}

// New makes a herald. Nothing is asked or told yet.
func New(o Options) (*Herald, error) {
	switch {
	case o.Client == nil:
		return nil, errors.New("new herald: no way to the API server")
	case o.Node == "" || url.PathEscape(o.Node) != o.Node:
		return nil, errors.New("new herald: " + o.Node + " is not the name of a node")
	}
	if o.Health == nil {
		o.Health = func(error) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Herald{o: o, pace: o.Pace.filled(), clock: o.Clock.filled(), log: o.Log, wake: make(chan struct{}, 1), say: o.Say, told: newTold()}, nil
}

// Feed takes a state that the daemon has published, and the facts that it is about, which may be nil. Neither may be changed any more. It does not wait.
func (h *Herald) Feed(d *status.Document, s *facts.Snapshot) {
	h.mu.Lock()
	h.doc, h.facts = d, s
	h.mu.Unlock()
	h.stir()
}

// Tell takes what the plugin has reported. It does not wait; what comes too fast is dropped.
func (h *Herald) Tell(r status.Report) {
	h.mu.Lock()
	if len(h.news) < maxNews && r.Pod != "" && (r.Verdict == "warn" || r.Verdict == "refuse") {
		h.news = append(h.news, r)
	}
	h.mu.Unlock()
	h.stir()
}

// Configure changes what is told. A condition and a taint that are not wanted any more are taken back, and so is a report.
func (h *Herald) Configure(s Say) {
	h.mu.Lock()
	h.say = s
	h.mu.Unlock()
	h.stir()
}

func (h *Herald) stir() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// breath is what Run rests between two turns, however often it is stirred.
const breath = 500 * time.Millisecond

// Run tells until the context ends. What was told stays: a daemon that ends has not made the node another one. See [Withdraw].
func (h *Herald) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := h.turn(ctx)
		h.rest(ctx, nil, min(wait, breath))
		h.rest(ctx, h.wake, wait-breath)
	}
}

// rest waits for a time, the context or the channel.
func (h *Herald) rest(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	if d <= 0 {
		return
	}
	t := h.clock.Timer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-t.C:
	}
}
