package serve

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/status"
)

// Health is what a surface tells of itself: the name of its condition ([status.SocketServed], [status.HTTPServed], [status.NodeState]) and why it is not met; nil
// where it is. It is called when that changes, by several goroutines. A surface that is switched off is met.
type Health func(condition string, err error)

// Options are what surfaces need.
type Options struct {
	Board     *Board
	Metrics   *Metrics
	NodeState string                                // path of the file for others; empty: [DefaultNodeState]
	Unasked   func(f check.Finding, index int) bool // whether that fix may be made unasked, for the page; nil: none
	Health    Health                                // nil: nobody wants to know
	Told      func(status.Report)                   // hears what the plugin reports, one at a time; it must not wait. nil: nobody
}

// Settings are what may change while the daemon runs.
type Settings struct {
	Socket string   // path; empty: off
	Listen string   // host:port of HTTP; empty: off
	Hosts  []string // by which HTTP may be asked for, besides addresses, localhost and the node's name
}

// defaultRetry is how long a surface waits before it tries again to get what it could not have.
const defaultRetry = 5 * time.Second

// Surfaces are all ways to ask the daemon. Make one with [New].
type Surfaces struct {
	o       Options
	reports reports
	retry   time.Duration

	mu       sync.Mutex
	settings Settings
	applied  chan struct{} // closed when there are other settings
}

// New makes surfaces that are not served yet.
func New(o Options, s Settings) *Surfaces {
	if o.NodeState == "" {
		o.NodeState = DefaultNodeState
	}
	if o.Health == nil {
		o.Health = func(string, error) {}
	}
	if o.Told == nil {
		o.Told = func(status.Report) {}
	}
	return &Surfaces{o: o, settings: s, applied: make(chan struct{}), retry: defaultRetry}
}

// Apply changes the settings. What they do not concern goes on undisturbed.
func (s *Surfaces) Apply(n Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings = n
	close(s.applied)
	s.applied = make(chan struct{})
}

// get is the settings in force, and a channel that closes when there are others.
func (s *Surfaces) get() (Settings, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings, s.applied
}

// Run serves until the context ends, and ends when nothing of it is left. Before that it writes the last state on the board to the file for others.
func (s *Surfaces) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { s.keep(ctx, status.SocketServed, func(n Settings) string { return n.Socket }, s.serveSocket) })
	all.Go(func() {
		s.keep(ctx, status.HTTPServed, func(n Settings) string { return n.Listen }, s.serveHTTP)
	})
	all.Go(func() { s.writeNodeState(ctx) })
	all.Wait()
}

// keep runs a surface whenever its address is set, anew when it changes, and again when it fails.
func (s *Surfaces) keep(ctx context.Context, condition string, address func(Settings) string, run func(ctx context.Context, at string, up func()) error) {
	h := health{tell: s.o.Health, condition: condition}
	for ctx.Err() == nil {
		settings, applied := s.get()
		at := address(settings)
		if at == "" {
			h.is(nil)
			waitFor(ctx, applied, 0)
			continue
		}
		inner, stop := context.WithCancelCause(ctx)
		go s.onChange(inner, stop, address, at)
		err := run(inner, at, func() { h.is(nil) })
		stop(nil)
		if ctx.Err() == nil && !errors.Is(context.Cause(inner), errApplied) {
			h.is(err)
			waitFor(ctx, applied, s.retry)
		}
	}
}

// errApplied is why a surface is stopped whose address has changed.
var errApplied = errors.New("other settings")

// onChange stops a surface when its address is another than it was.
func (s *Surfaces) onChange(ctx context.Context, stop context.CancelCauseFunc, address func(Settings) string, was string) {
	for ctx.Err() == nil {
		settings, applied := s.get()
		if address(settings) != was {
			stop(errApplied)
			return
		}
		waitFor(ctx, applied, 0)
	}
}

// waitFor returns when the context or the channel ends, or after that time; 0: never.
func waitFor(ctx context.Context, change <-chan struct{}, most time.Duration) {
	var late <-chan time.Time
	if most > 0 {
		t := time.NewTimer(most)
		defer t.Stop()
		late = t.C
	}
	select {
	case <-ctx.Done():
	case <-change:
	case <-late:
	}
}

// health tells of changes only. It belongs to one goroutine.
type health struct {
	tell      Health
	condition string
	told      bool
	last      string
}

func (h *health) is(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if h.told && text == h.last {
		return
	}
	h.told, h.last = true, text
	h.tell(h.condition, err)
}
