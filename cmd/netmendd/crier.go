//go:build linux

package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/netmend/netmend/pkg/agent"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/kube/herald"
	"github.com/netmend/netmend/pkg/status"
)

// crier lets the cluster know what the node says, as the configuration asks for it.
type crier struct {
	agent  *agent.Agent
	log    *slog.Logger
	getenv func(string) string
	node   *nodeName
	health *apiHealth
	wanted

	now    config.Kubernetes // that is; it belongs to run, as what follows
	stop   func()            // nil: nothing is told
	herald atomic.Pointer[herald.Herald]
}

func newCrier(d *daemon, getenv func(string) string, h *apiHealth) *crier {
	return &crier{agent: d.agent, log: d.log, getenv: getenv, node: d.node, health: h, wanted: newWanted()}
}

// run does what the configuration says until the context ends.
func (c *crier) run(ctx context.Context) {
	defer c.end()
	c.each(ctx, c.change)
}

// said is what the configuration wants to be told.
func said(k *config.Kubernetes) herald.Say {
	return herald.Say{Report: k.Report, Condition: k.Condition, Events: k.Events, Taint: k.StartupTaint}
}

// change begins to tell, or ends it. Where only what is told has changed, what is not wanted any more is taken back; a herald that has nothing to tell stays for
// that. Without access there is nobody to take it back from.
func (c *crier) change(ctx context.Context, k config.Kubernetes) {
	h, same := c.herald.Load(), k.Access == c.now.Access && k.Node == c.now.Node
	if same && c.stop != nil {
		c.now = k
		if h != nil {
			h.Configure(said(&k))
			return
		}
	}
	c.end()
	c.now = k
	if !k.On() || said(&k) == (herald.Say{}) {
		return
	}
	c.health.begin(partTold)
	c.stop = inBackground(ctx, func(ctx context.Context) { c.tell(ctx, k) })
}

// end stops telling and waits for that.
func (c *crier) end() {
	if c.stop != nil {
		c.stop()
		c.stop = nil
		c.herald.Store(nil)
		c.health.forget(partTold)
	}
}

// tell finds out how to reach the API server, and then tells it what there is to tell.
func (c *crier) tell(ctx context.Context, k config.Kubernetes) {
	if k.Node == "" {
		k.Node = c.node.wait(ctx)
	}
	for ctx.Err() == nil {
		h, err := c.make(&k)
		if err == nil {
			c.log.Info("telling the API server", "access", k.Access, "node", k.Node)
			c.herald.Store(h)
			c.feed(c.agent.Status())
			h.Run(ctx)
			return
		}
		c.health.set(partTold, fmt.Errorf("the cluster is not told of this node: %w; tried again every %s", err, openAgain))
		pause(ctx, openAgain)
	}
}

func (c *crier) make(k *config.Kubernetes) (*herald.Herald, error) {
	access, err := accessTo(k.Access, c.getenv)
	if err != nil {
		return nil, err
	}
	client, err := kube.NewClient(access)
	if err != nil {
		return nil, err
	}
	return herald.New(herald.Options{Client: client, Node: k.Node, Say: said(k), Log: c.log, Health: func(err error) { c.health.set(partTold, err) }})
}

// feed hands a state on. It is called by the loop for each, and does not wait.
func (c *crier) feed(s *status.Document) {
	if h := c.herald.Load(); h != nil {
		_, facts := c.agent.Report()
		h.Feed(s, facts)
	}
}

// hear takes what the plugin reports.
func (c *crier) hear(r status.Report) {
	c.agent.Tell(r)
	if h := c.herald.Load(); h != nil {
		h.Tell(r)
	}
}
