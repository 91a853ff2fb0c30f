package herald

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/status"
)

// taints are taken within the limits.
func (c *cluster) taints(t *testing.T) {
	const nodes = 24 // of which two may be tainted, with those of the other tests
	for i := range nodes {
		c.node(fmt.Sprintf("t%02d", i), "example.com/theirs")
	}
	d := newDoor(t, c.Cluster)
	bad := fault("service-rules-missing", "no rules", check.Critical)
	var all []*daemon
	for i := range 6 {
		all = append(all, c.daemon(t, d, fmt.Sprintf("t%02d", i)))
	}
	unsettled := bad
	unsettled.Settled = false
	all[0].say(status.Faulty, unsettled)
	all[0].untilCondition("True")
	tainted := func() (names []string) {
		for i := range nodes {
			name := fmt.Sprintf("t%02d", i)
			n := c.getNode(name)
			if strings.Contains(n.taints(), taintKey) {
				names = append(names, name)
			}
			if !strings.Contains(n.taints(), "example.com/theirs=theirs") {
				t.Errorf("%s has lost the taint of another: %s", name, n.taints())
			}
		}
		return names
	}
	time.Sleep(time.Second)
	if got := tainted(); len(got) > 0 {
		t.Errorf("tainted for a fault that has not settled: %v", got)
	}
	for _, s := range all { // all of them have the same fault at the same time
		s.say(status.Faulty, bad)
	}
	all[0].until("two nodes to be tainted", func() string {
		if got := tainted(); len(got) != 2 {
			return fmt.Sprint(got)
		}
		return ""
	})
	for range 20 {
		if got := tainted(); len(got) > 2 {
			t.Errorf("tainted: %v; want two of %d at most", got, nodes)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, s := range all {
		s.say(status.Proven)
	}
	all[0].until("the taints to be removed", func() string { return strings.Join(tainted(), " ") })
	if !slices.Contains(d.verbs(), "nodes: list") || !slices.Contains(d.verbs(), "nodenetworkreports: list") {
		t.Errorf("nodes were tainted without looking at the others: %v", d.verbs())
	}

	// The last node that is ready keeps its pods.
	for i := 1; i < nodes; i++ {
		c.do(http.MethodPatch, fmt.Sprintf("/api/v1/nodes/t%02d/status", i), object{"status": object{"conditions": kubelet("False")}})
	}
	for _, name := range []string{"life", "pods", "refused"} {
		c.do(http.MethodDelete, "/api/v1/nodes/"+name, nil)
	}
	all[0].say(status.Faulty, bad)
	time.Sleep(2 * time.Second)
	if got := tainted(); len(got) > 0 {
		t.Errorf("tainted: %v; want none: no other node is ready", got)
	}
}
