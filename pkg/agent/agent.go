package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/serve"
	"github.com/netmend/netmend/pkg/status"
)

// Options is what an Agent works with. Config, Suite and Board are needed.
type Options struct {
	Root   string // prefixes /proc, /sys, /etc, /run and /var; empty: /
	NetNS  string // path of the network namespace in which the node lives; empty: the program's own
	Plugin string // the CNI plugin's program, to be copied to where the runtime finds it; empty: the one that is there

	Config   *config.Config
	Suite    *audit.Suite
	Versions status.Versions // the kernel's is found out
	Board    *serve.Board    // where each state is published
	Meter    Meter           // nil: nothing is counted
	Log      *slog.Logger    // nil: none
	// Published is called by the loop after each state that was put on the board. It must not wait. nil: nobody is told.
	Published func(*status.Document)
}

// Meter counts what the loop does.
type Meter interface {
	Audited(seconds float64)
	Fixed(check, result string)
	Unread(kind facts.Kind)
}

// Agent is the loop. Its methods may be called by several goroutines, but Run once.
type Agent struct {
	o      Options
	in     *inbox
	latest atomic.Pointer[serve.State]
}

// New checks the options. It touches nothing.
func New(o Options) (*Agent, error) {
	switch {
	case o.Config == nil:
		return nil, errors.New("new agent: no configuration")
	case o.Suite == nil:
		return nil, errors.New("new agent: no checks")
	case o.Board == nil:
		return nil, errors.New("new agent: no board to publish on")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Meter == nil {
		o.Meter = nothing{}
	}
	if o.Published == nil {
		o.Published = func(*status.Document) {}
	}
	a := &Agent{o: o, in: newInbox()}
	a.latest.Store(&serve.State{Status: &status.Document{
		APIVersion: status.APIVersion, Kind: status.Kind, State: status.Starting, Mode: string(o.Config.Mode), Versions: o.Versions,
	}})
	return a, nil
}

// Run looks after the node until the context ends, which is no error. Its error is one after which there is nothing that it could do.
func (a *Agent) Run(ctx context.Context) (err error) {
	n, err := openNode(a.o.Root, a.o.NetNS)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	return newLoop(a, n).run(ctx)
}

// Status is the document of what was published last.
func (a *Agent) Status() *status.Document { return a.latest.Load().Status }

// Report is the last report, and the facts that it is about; nil before the first audit.
func (a *Agent) Report() (*check.Report, *facts.Snapshot) {
	s := a.latest.Load()
	return s.Report, s.Snapshot
}

// Configure puts another configuration in force.
func (a *Agent) Configure(c *config.Config) { a.in.put(func() { a.in.config = c }) }

// Tell takes what the plugin reports. It does not wait; what comes too fast is dropped.
func (a *Agent) Tell(r status.Report) {
	a.in.put(func() {
		if len(a.in.news) < maxNews {
			a.in.news = append(a.in.news, r)
		}
	})
}

// SetCondition says that a part of the daemon works, with a nil error, or why it does not. The name is one of package status.
func (a *Agent) SetCondition(name string, err error) {
	a.in.put(func() { a.in.conditions[name] = err })
}

// nothing counts nothing.
type nothing struct{}

func (nothing) Audited(float64)      {}
func (nothing) Fixed(string, string) {}
func (nothing) Unread(facts.Kind)    {}
