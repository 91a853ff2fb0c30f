package herald

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// census is what matters of a cluster's nodes to the taint.
type census struct {
	nodes   int
	tainted []string // names of those with the startup taint, in order
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
		c.count(&n)
		return nil
	})
	slices.Sort(c.tainted)
	return c, err
}

func (c *census) count(n *nodeObject) {
	c.nodes++
	ready := n.find("Ready")
	switch {
	case n.tainted():
		c.tainted = append(c.tainted, n.Metadata.Name)
	case ready != nil && ready.Status == "True" && !n.Spec.Unschedulable:
		c.useful = append(c.useful, n.Metadata.Name)
	}
}

// allowed is how many nodes may have the taint.
func (c *census) allowed() int { return c.nodes / share }

// spare says why the cluster cannot spare a node that has no taint yet; empty where it can.
func (c *census) spare(name string) string {
	others := slices.DeleteFunc(slices.Clone(c.useful), func(n string) bool { return n == name })
	switch {
	case len(others) == 0:
		return "no other node is ready"
	case len(c.tainted) >= c.allowed():
		return fmt.Sprintf("%d of %d nodes have it, of which %d may", len(c.tainted), c.nodes, c.allowed())
	}
	return ""
}

// keeps says whether a node that has the taint may keep it: where too many have, the first ones by their names do.
func (c *census) keeps(name string) bool {
	i := slices.Index(c.tainted, name)
	return len(c.useful) > 0 && i >= 0 && i < c.allowed()
}
