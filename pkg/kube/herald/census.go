package herald

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/netmend/netmend/pkg/nodereport"
)

// census is what matters of a cluster's nodes to the taint.
type census struct {
	nodes   int
	claims  map[string]bool // names of those that are about to take the startup taint
	tainted []string        // names of those that have it or claim it
	useful  []string        // names of those that are ready, and neither tainted nor cordoned
}

// census counts the nodes. It is asked for only where a node would take the taint. Claims are read first: one that ends has become a taint before.
func (h *Herald) census(ctx context.Context) (*census, error) {
	c := &census{claims: map[string]bool{}}
	err := h.o.Client.EachLabelled(ctx, reportPath(""), nodereport.ClaimLabel, func(item json.RawMessage) error {
		var r struct{ Metadata nodereport.Metadata }
		if err := json.Unmarshal(item, &r); err != nil {
			return fmt.Errorf("a report in the list: %w", err)
		}
		c.claims[r.Metadata.Name] = holds(r.Metadata.Labels[nodereport.ClaimLabel], h.clock.Now())
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = h.o.Client.Each(ctx, nodesPath, func(item json.RawMessage) error {
		var n nodeObject
		if err := json.Unmarshal(item, &n); err != nil {
			return fmt.Errorf("a node in the list: %w", err)
		}
		c.count(&n)
		return nil
	})
	return c, err
}

// holds says whether a claim counts. One that says nonsense does not.
func holds(claim string, now time.Time) bool {
	seconds, err := strconv.ParseInt(claim, 10, 64)
	if err != nil {
		return false
	}
	age := now.Sub(time.Unix(seconds, 0))
	return age < claimCounts && age > -claimCounts
}

func (c *census) count(n *nodeObject) {
	c.nodes++
	ready := n.find("Ready")
	switch {
	case n.tainted() || c.claims[n.Metadata.Name]:
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
