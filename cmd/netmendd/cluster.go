//go:build linux

package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/netmend/netmend/pkg/agent"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/kube"
)

const (
	gatherChanges = time.Second      // between two words to the loop
	openAgain     = 10 * time.Second // after credentials could not be read: kubelet may be about to write them
)

// cluster lets the loop know what the Kubernetes API wants, as the configuration asks for it.
type cluster struct {
	agent  *agent.Agent
	log    *slog.Logger
	getenv func(string) string
	node   *nodeName
	health *apiHealth
	wanted

	goal int64             // of memory; it belongs to what follows the API server
	now  config.Kubernetes // that is; it belongs to run, as what follows
	stop func()            // nil: nothing is followed
}

func newCluster(d *daemon, getenv func(string) string, h *apiHealth) *cluster {
	return &cluster{agent: d.agent, log: d.log, getenv: getenv, node: d.node, health: h, wanted: newWanted()}
}

// run does what the configuration says until the context ends.
func (c *cluster) run(ctx context.Context) {
	defer c.end()
	c.each(ctx, c.change)
}

// change begins to follow, or ends it. What is followed already goes on where nothing has changed.
func (c *cluster) change(ctx context.Context, k config.Kubernetes) {
	if !k.Services {
		k = config.Kubernetes{}
	}
	if k.Access == c.now.Access && k.Node == c.now.Node {
		return
	}
	c.end()
	c.now = k
	if !k.On() {
		return
	}
	c.health.begin(partServices)
	c.stop = inBackground(ctx, func(ctx context.Context) { c.follow(ctx, k) })
}

// end stops following and waits for that.
func (c *cluster) end() {
	if c.stop != nil {
		c.stop()
		c.stop = nil
		c.agent.SetTruth(nil)
		c.health.forget(partServices)
		c.weigh(0)
	}
}

// follow finds out how to reach the API server, and then mirrors it.
func (c *cluster) follow(ctx context.Context, k config.Kubernetes) {
	changes := make(chan struct{}, 1)
	changed := func() {
		select {
		case changes <- struct{}{}:
		default: // the last is still to be told
		}
	}
	node := k.Node
	if node == "" {
		node = c.node.wait(ctx)
	}
	var m *kube.Mirror
	for ctx.Err() == nil {
		access, err := accessTo(k.Access, c.getenv)
		if err == nil {
			m, err = kube.NewMirror(access, node, time.Now, changed)
		}
		if err == nil {
			break
		}
		c.health.set(partServices, fmt.Errorf("what the cluster wants is not known: %w; tried again every %s", err, openAgain))
		pause(ctx, openAgain)
	}
	if ctx.Err() != nil {
		return
	}
	c.log.Info("following the API server", "access", k.Access, "node", node)
	c.agent.SetTruth(m)
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { m.Run(ctx) })
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
		}
		c.tell(m, node)
		pause(ctx, gatherChanges)
	}
}

// tell passes on that something has changed. Before everything was listed, and without an error, there is nothing to say of the API server.
func (c *cluster) tell(m *kube.Mirror, node string) {
	err := m.Err()
	switch {
	case err == nil && m.Whole() && !m.HasNode():
		c.health.set(partServices, fmt.Errorf("the cluster has no Node %s, so what depends on it is not judged: where kubelet has registered it by another name, set kubernetes.node", node))
	case err != nil:
		c.health.set(partServices, fmt.Errorf("rules for Services are not compared with the cluster's meanwhile: %w", err))
	case m.Whole():
		c.health.set(partServices, nil)
	}
	c.weigh(m.Size())
	c.agent.TruthChanged()
}

// weigh lets the collector of memory begin to work harder later, by what is kept of a cluster: near its goal it would do nothing else.
func (c *cluster) weigh(kept int64) {
	if goal := memoryGoal + kept>>20<<20; goal != c.goal { // in whole MiB
		c.goal = goal
		debug.SetMemoryLimit(goal)
	}
}

// accessTo finds the credentials.
func accessTo(how string, getenv func(string) string) (*kube.Access, error) {
	if how == config.InCluster {
		return kube.InCluster(getenv)
	}
	return kube.Kubeconfig(how)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// nodeName is the node's name by its own kernel, in lower case as kubelet has it (GetHostname of k8s.io/kubernetes/pkg/util/node). It is known when the node was
// read first.
type nodeName struct {
	once  sync.Once
	known chan struct{}
	name  string
}

func newNodeName() *nodeName { return &nodeName{known: make(chan struct{})} }

// set is called with each state that is published.
func (n *nodeName) set(name string) {
	if name != "" {
		n.once.Do(func() {
			n.name = strings.ToLower(name)
			close(n.known)
		})
	}
}

// wait gives the name; it is empty where the context ends before it is known. Any goroutine may call it.
func (n *nodeName) wait(ctx context.Context) string {
	select {
	case <-n.known:
		return n.name
	case <-ctx.Done():
		return ""
	}
}
