package serve

import (
	"sync"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
)

// State is what the loop knows after a look. Nothing of it may be changed after it was published.
type State struct {
	Status   *status.Document
	Snapshot *facts.Snapshot // the report's; nil before the first audit
	Report   *check.Report   // nil before the first audit
	Verdicts Verdicts
}

// Verdicts is what the plugin may rely upon. The zero value says nothing.
type Verdicts struct {
	Judged   []string              // checks that judged the node
	Findings []check.Finding       // theirs
	Services []facts.ServiceIntent // virtual IPs that pods need, as Kubernetes says
	// AsOf is the moment for which the verdicts hold: that of the last look or, while the kernel tells of every change and none is waiting to be looked at,
	// now. It is called for each answer, by several goroutines, and must not wait. nil: Status.Audit.At.
	AsOf func() time.Time
}

// Board holds what was published last. The zero value holds nothing yet and is ready. Its methods may be called by several goroutines.
type Board struct {
	mu      sync.Mutex
	now     *posted
	beat    time.Time
	changed chan struct{} // closed by the next Publish; nil where nobody waits
}

// posted is a state with what is made of it once.
type posted struct {
	State
	verdicts []byte // the answer to the plugin, but for its age

	page sync.Once // the live page is made for the first who asks
	html []byte
	err  error

	tagging sync.Once
	tag     string
}

// Publish puts a state on the board. Before the first, everybody who asks hears that the daemon is starting.
func (b *Board) Publish(s State) {
	p := &posted{State: s}
	p.verdicts = answerOf(s.Verdicts, p.state())
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = p
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// Beat says that the loop turns. The loop calls it at least every [BeatInterval], also when there is nothing to do.
func (b *Board) Beat() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.beat = time.Now()
}

// BeatInterval is how often the loop says that it turns; a loop that was silent for longer than [BeatPatience] is taken for stuck.
const (
	BeatInterval = 30 * time.Second
	BeatPatience = 90 * time.Second
)

// Turning says whether the loop has lately said so.
func (b *Board) Turning() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.beat.IsZero() && time.Since(b.beat) < BeatPatience
}

// last is what was published last, nil for nothing yet, and a channel that closes when there is something newer.
func (b *Board) last() (*posted, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.now, b.changed
}
