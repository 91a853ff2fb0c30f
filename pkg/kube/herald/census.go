package herald

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// census is what matters of a cluster's nodes to the taint.
type census struct {
	nodes   int
	tainted []string // names of those with the startup taint, or that are about to take it
	useful  []string // names of those that are ready, and neither tainted nor cordoned
}

// census counts the nodes. It is asked for only where a node would take the taint.
func (h *Herald) census(ctx context.Context) (*census, error) {
	c := &census{}
	err := h.o.Client.Each(ctx, nodesPath, func(item json.RawMessage) error {
		var n nodeObject
		if err := json.Unmarshal(item, &n); err != nil {
			return fmt.Errorf("a node in the list: %w", err)
		}
		c.count(&n, time.Now())
		return nil
	})
	return c, err
}

func (c *census) count(n *nodeObject, now time.Time) {
	c.nodes++
	ready := n.find("Ready")
	switch {
	case n.tainted() || n.claims(now):
		c.tainted = append(c.tainted, n.Metadata.Name)
	case ready != nil && ready.Status == "True" && !n.Spec.Unschedulable:
		c.useful = append(c.useful, n.Metadata.Name)
	}
}

// allowed is how many nodes may have the taint.
func (c *census) allowed() int { return c.nodes / share }

// spare says why the cluster cannot spare a node that has no taint yet; empty where it can. Its own claim does not count.
func (c *census) spare(name string) string {
	count := func(list []string) (n int) {
		for _, other := range list {
			if other != name {
				n++
			}
		}
		return n
	}
	switch tainted := count(c.tainted); {
	case count(c.useful) == 0:
		return "no other node is ready"
	case tainted >= c.allowed():
		return fmt.Sprintf("%d of %d nodes have it, of which %d may", tainted, c.nodes, c.allowed())
	}
	return ""
}
