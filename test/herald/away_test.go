package herald

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
)

// refused is a node whose account may do nothing, and then all.
func (c *cluster) refused(t *testing.T) {
	c.node("refused")
	d := newDoor(t, c.Cluster)
	d.answer(http.StatusForbidden)
	s := c.daemon(t, d, "refused")
	s.say(status.Proven)
	s.until("the daemon to say so", func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !strings.Contains(s.health, "403") && !strings.Contains(s.health, "Forbidden") {
			return "it says " + s.health
		}
		return ""
	})
	asked := d.count("")
	time.Sleep(2 * time.Second)
	if n := d.count("") - asked; n > 6 {
		t.Errorf("%d requests in 2 s to an API server that refuses; want one each %s", n, pace().Refused)
	}
	d.answer(0)
	s.untilCondition("False")
	s.until("the daemon to be content", func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.health
	})
}

// away is an API server that is stopped while the node changes.
func (c *cluster) away(t *testing.T) {
	c.node("away")
	d := newDoor(t, c.Cluster)
	s := c.daemon(t, d, "away")
	s.say(status.Proven)
	s.untilCondition("False")
	c.StopServer()
	asked := d.count("")
	begin := time.Now()
	for i := range 300 { // hours of them
		s.say(status.Faulty, fault(fmt.Sprintf("check-%d", i), "x", check.Critical))
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the daemon was held up for %s", took)
	}
	s.say(status.Faulty, fault("tunnel-mtu-over-uplink", "flannel.1 has MTU 1500 over 1450", check.Critical))
	s.until("the daemon to say so", func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.health == "" {
			return "it does not"
		}
		return ""
	})
	time.Sleep(3 * time.Second)
	if n := d.count("") - asked; n > 12 {
		t.Errorf("%d requests to an API server that is away", n)
	}
	t.Logf("%d requests in %s while it was away; health: %s", d.count("")-asked, time.Since(begin).Round(time.Second), s.health)
	c.StartServer()
	s.untilCondition("True")
	s.until("the report and one event to have caught up", func() string {
		r, _ := c.report("away")
		got := c.nodeEvents("away")
		if r.Status.Critical != 1 || len(got) != 1 || !strings.Contains(got[0].Message, "tunnel-mtu-over-uplink") {
			return fmt.Sprintf("%+v %+v", r.Status, got)
		}
		return ""
	})
}

// withdraw takes everything out of the cluster that is left of the other tests, whose daemons have ended.
func (c *cluster) withdraw(t *testing.T) {
	c.node("left", "example.com/theirs", taintKey)
	before := c.getNode("left")
	d := doorFor(t, c.Cluster, "")
	out, err := exec.Command(os.Getenv("NETMENDCTL"), "withdraw", "--kubeconfig", d.kubeconfig(t)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%s", out)
	var nodes struct{ Items []nodeObject }
	if err := json.Unmarshal(c.do(http.MethodGet, "/api/v1/nodes", nil), &nodes); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes.Items {
		if k := n.condition(); k.Type != "" || strings.Contains(n.taints(), taintKey) {
			t.Errorf("left: %+v, taints %s", k, n.taints())
		}
	}
	if after := c.getNode("left"); after.taints() != strings.ReplaceAll(before.taints(), " "+taintKey+"=", "") || after.theirs() != before.theirs() {
		t.Errorf("the node was %s %s and is %s %s", before.taints(), before.theirs(), after.taints(), after.theirs())
	}
	var reports struct{ Items []object }
	if err := json.Unmarshal(c.do(http.MethodGet, "/apis/"+nodereport.APIVersion+"/"+nodereport.Resource, nil), &reports); err != nil || len(reports.Items) > 0 {
		t.Errorf("reports that are left: %v, %v", reports.Items, err)
	}
	writes := d.writes()
	if out, err = exec.Command(os.Getenv("NETMENDCTL"), "withdraw", "--kubeconfig", d.kubeconfig(t)).CombinedOutput(); err != nil || d.writes() != writes {
		t.Errorf("a second run: %v, %d writes: %s", err, d.writes()-writes, out)
	}
}
