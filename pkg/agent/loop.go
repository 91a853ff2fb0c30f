package agent

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/serve"
	"github.com/netmend/netmend/pkg/status"
)

const (
	journalDir = "var/lib/netmend" // below the root
	lastWait   = time.Second       // for what is read beside the loop when it ends
)

// loop is the state of [Agent.Run]. It belongs to one goroutine, but for what says otherwise.
type loop struct {
	a      *Agent
	log    *slog.Logger
	meter  Meter
	node   node
	conf   *config.Config
	checks map[string]*check.Check
	root   string
	dir    string // of the journal
	clock  func() time.Time

	mind   *mind
	lives  *lives
	proofs proofs
	report *check.Report
	skips  []check.Skip
	broken map[string]bool // checks that panicked

	truth     truth
	todo      todo
	quickPace pace
	judgePace pace
	slowPace  pace
	job       *job // nil: nothing is read beside the loop
	jobs      chan *job
	counters  *host.CounterNames // those that checks ask for in pods
	earlyRead *collect.Reading   // the last reading of the counters
	readAt    time.Time          // when that was
	fullAt    time.Time
	windowAt  time.Time
	pollAt    time.Time
	notBefore time.Time // before when a node that could not be read is not read again

	earlier      *repair.Mender
	entries      []repair.Entry
	lookDue      bool // a fix in force may have ended
	lookAt       time.Time
	busy         time.Time
	journalAgain time.Time
	journalOpen  bool

	chain      chainKeeper
	conditions conditions
	wall       clockWatch
	beatAt     time.Time

	started   time.Time
	ready     bool
	stopping  bool
	audit     status.Audit
	published time.Time
	changed   bool // something that others should hear of soon
	looked    bool // only times have changed

	hears    chan struct{} // closed when the first event has come
	heard    sync.Once
	watching atomic.Bool               // the kernel tells of changes
	behind   atomic.Bool               // something was told of that was not looked at
	judgedAt atomic.Pointer[time.Time] // when the node was judged last; with its monotonic reading, because the wall clock may be set back
}

func newLoop(a *Agent, n node) *loop {
	l := &loop{
		a: a, log: a.o.Log, meter: a.o.Meter, node: n, conf: a.o.Config, checks: map[string]*check.Check{}, root: a.o.Root, clock: time.Now,
		lives: newLives(), proofs: proofs{}, report: &check.Report{}, broken: map[string]bool{},
		// What the loop reads itself costs a millisecond or a few: it may do that fifty times in a second. What is dear takes a tenth of the time.
		quickPace: pace{least: 20 * time.Millisecond, rest: 4, most: time.Second},
		judgePace: pace{least: 20 * time.Millisecond, rest: 9, most: 2 * time.Second},
		slowPace:  pace{least: 100 * time.Millisecond, rest: 9, most: time.Minute},
		truth:     truth{pace: pace{least: 5 * time.Second, rest: 49, most: time.Minute}},
		jobs:      make(chan *job, 1), hears: make(chan struct{}), started: time.Now().UTC(),
	}
	if l.root == "" {
		l.root = "/"
	}
	l.dir = filepath.Join(l.root, journalDir)
	list := a.o.Suite.Checks()
	var counters []string
	for _, c := range list {
		l.checks[c.Name] = c
		counters = append(counters, c.Counters...)
	}
	l.counters = host.NewCounterNames(counters)
	l.mind = newMind(list)
	l.chain.events = make(chan chainEvent)
	l.conditions = conditions{all: map[string]status.Condition{}, log: l.tellCondition}
	return l
}

func (l *loop) tellCondition(c status.Condition) {
	if c.OK {
		l.log.Info("condition", "name", c.Name, "ok", true)
	} else {
		l.log.Warn("condition", "name", c.Name, "ok", false, "message", c.Message)
	}
}

// run is Agent.Run with a node.
func (l *loop) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer l.stopChain()
	defer cancel()
	group.Go(func() { l.watch(ctx) })
	l.a.o.Board.Beat()
	l.publish(l.clock())
	l.begin(ctx)
	for ctx.Err() == nil {
		wait := l.step(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-l.a.in.wake:
		case j := <-l.jobs:
			l.finish(ctx, j)
		case e := <-l.chain.events:
			l.takeChain(e)
		case <-timer.C:
		}
		timer.Stop()
	}
	l.stopping = true
	l.publish(l.clock())
	if l.job != nil { // it uses the node, which is closed next
		select {
		case <-l.jobs:
		case <-time.After(lastWait):
		}
	}
	return nil
}

// begin settles what an earlier process left, audits, mends, and is then ready. It comes back when the context ends.
func (l *loop) begin(ctx context.Context) {
	if l.conf.Mode == config.Fix {
		l.session(ctx, 5*time.Second, func(*repair.Mender) {})
	} else {
		l.history()
	}
	l.tryKernel()
	l.startChain(ctx)
	l.awaitEvents(ctx)
	for ctx.Err() == nil {
		if l.first(ctx) {
			break
		}
		l.publish(l.clock())
		l.pause(ctx, afterFailed)
	}
	if ctx.Err() != nil {
		return
	}
	l.awaitChain(ctx)
	l.ready = true
	now := l.clock()
	l.fullAt, l.windowAt = now.Add(jitter(l.conf.FullAudit)), now.Add(l.conf.CounterWindow)
	l.log.Info("ready", "mode", string(l.conf.Mode), "findings", len(l.lives.held), "state", string(l.state()))
	l.publish(now)
	freeMemory()
}

// awaitChain gives the chain's keeper time for its first look, so that a node is ready only when the plugin is in the chain; one without a network yet is not
// waited for.
func (l *loop) awaitChain(ctx context.Context) {
	timeout := time.NewTimer(5 * time.Second)
	defer timeout.Stop()
	for !l.chain.told {
		select {
		case e := <-l.chain.events:
			l.takeChain(e)
		case <-timeout.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// history reads what an earlier process left without settling it: in mode audit nothing is changed.
func (l *loop) history() {
	entries, warnings, err := repair.History(l.dir)
	for _, w := range warnings {
		l.log.Warn("journal", "warning", w)
	}
	message := ""
	if err != nil {
		message = "earlier fixes are not known: " + err.Error()
	}
	l.conditions.set(l.clock(), status.Journal, message)
	l.entries = entries
}

// pause waits, and lives meanwhile.
func (l *loop) pause(ctx context.Context, d time.Duration) {
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-l.a.in.wake:
			l.open(ctx, l.clock())
		case e := <-l.chain.events:
			l.takeChain(e)
		case <-time.After(serve.BeatInterval):
		}
		l.a.o.Board.Beat()
	}
}

// asOf is the moment for which the verdicts hold. It is called by other goroutines.
func (l *loop) asOf() time.Time {
	if l.watching.Load() && !l.behind.Load() && !l.a.in.waiting() {
		return time.Now()
	}
	if at := l.judgedAt.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// kinds are those that are asked for.
func (l *loop) kinds() []facts.Kind { return asked(l.mind.checks) }
