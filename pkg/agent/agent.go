package agent

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/serve"
	"github.com/netmend/netmend/pkg/status"
)

// Options is what an Agent works with. Config, Suite and Board are needed.
type Options struct {
	Root     string // prefixes /proc, /sys, /etc, /run and /var; empty: /
	NetNS    string // path of the network namespace in which the node lives; empty: the program's own
	StateDir string // of the journal; empty: /var/lib/netmend below the root
	Plugin   string // the CNI plugin's program, to be copied to where the runtime finds it; empty: the one that is there

	Config   *config.Config
	Suite    *audit.Suite
	Versions status.Versions // the kernel's is found out
	Board    *serve.Board    // where each state is published
	Meter    Meter           // nil: nothing is counted
	Log      *slog.Logger    // nil: none

	// Watch tells of changes until its context ends, from one goroutine. nil: nobody does, and the loop looks by time alone.
	Watch func(ctx context.Context, report func(Change)) error
}

// Meter counts what the loop does.
type Meter interface {
	Audited(seconds float64)
	Fixed(check, result string)
	Unread(kind facts.Kind)
}

// Change is what may have changed on the node. It has the fields of the type of that name of package host.
type Change struct {
	Kinds []facts.Kind
	Links []int  // indexes, of events of links
	Pods  bool   // namespaces of pods came or went
	Lost  bool   // events were lost, or a source was started anew: everything must be read again
	Cause string // the event's name, for people
}

// Agent is the loop. Its methods may be called by several goroutines, but Run once.
type Agent struct {
	o Options
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
	case o.Log == nil:
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Agent{o: o}, nil
}

// Run looks after the node until the context ends, which is no error. Its error is one after which there is nothing that it could do.
func (a *Agent) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Status is the document of what is known now.
func (a *Agent) Status() *status.Document { return nil }

// Report is the last report of everything, and what it is about; nil before the first audit.
func (a *Agent) Report() (*check.Report, *facts.Snapshot) { return nil, nil }

// Configure puts another configuration in force; what it changes is looked at soon.
func (a *Agent) Configure(*config.Config) {}

// Tell takes news of the plugin: one object, as it writes it to its log. It does not wait; news that comes too fast is dropped.
func (a *Agent) Tell(json.RawMessage) {}

// SetCondition says that a part of the daemon works, with a nil error, or why it does not. The name is one of package status. It is a [serve.Health].
func (a *Agent) SetCondition(name string, err error) {}
