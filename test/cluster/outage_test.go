package cluster

import (
	"flag"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/nodereport"
)

var outage = flag.Duration("outage", 20*time.Second, "how long the API server is away")

// testOutage stops the API server. Meanwhile the second node gets one fault that is mended and one that stays; when the server is back, the report has both.
func (c *cluster) testOutage() {
	w := c.workers[1]
	daemon := c.daemon(w)
	mended := -1
	c.untilReport(w, "what it said before", func(r *nodereport.Report) string {
		mended = r.Status.Mended
		return ""
	})
	c.StopServer()
	end := time.Now().Add(*outage)
	w.Sh("sysctl -qw net.ipv4.ip_forward=0; ip link set flannel.1 mtu 1400")
	w.faulty = strings.ReplaceAll(w.knobs(), "mtu 1400", "mtu 1450") // which is put back below
	c.Await("netmend to mend without an API server", func() (bool, string) {
		got := w.Sh("sysctl -n net.ipv4.ip_forward")
		return got == "1\n", "ip_forward is " + got
	})
	if answer, _, err := c.ask(w, w.web, "http://"+c.workers[0].web+":8080/"); err != nil || answer != "web-a" {
		c.t.Errorf("without an API server a pod gets %q, %v from one of the other node", answer, err)
	}
	time.Sleep(time.Until(end))
	if _, err := c.Do(http.MethodGet, "/readyz", nil); err == nil {
		c.t.Error("the API server was not away")
	}
	c.StartServer()
	back := time.Now()
	c.untilReport(w, "what happened meanwhile", func(r *nodereport.Report) string {
		if r.Status.Mended != mended+1 {
			return fmt.Sprintf("%d fixes are in force; want one more than %d", r.Status.Mended, mended)
		}
		return has(r, "pod-mtu-mismatch", check.Warning)
	})
	c.t.Logf("after an outage of %s the report caught up in %.1f s", *outage, time.Since(back).Seconds())
	c.untilDescribed("node", w.Name, "NetworkFaultFound", "pod-mtu-mismatch")
	w.Sh("ip link set flannel.1 mtu 1450")
	c.untilReport(w, "that it is well", func(r *nodereport.Report) string {
		if r.Status.Warning > 0 {
			return "there are warnings"
		}
		return ""
	})
	for _, w := range c.workers {
		c.until(w.Name+" to be ready", "True", "get", "node", w.Name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
		c.untilCondition(w, "False NetworkProven")
	}
	c.t.Logf("and everything was as before in %.1f s", time.Since(back).Seconds())
	c.sameDaemon(w, daemon)
}

// sameDaemon says so where a node's pod is another one now, or was started again.
func (c *cluster) sameDaemon(w *worker, name string) {
	c.t.Helper()
	if now := c.daemon(w); now != name {
		c.t.Errorf("netmend's pod on %s was %s and is %s", w.Name, name, now)
	} else if n := c.must("get", "pod", "-n", namespace, name, "-o", "jsonpath={.status.containerStatuses[*].restartCount}"); n != "0" {
		c.t.Errorf("%s was started again %s times", name, n)
	}
}

// testKubelet starts kubelet again: the daemon runs on, what it told stays, and pods start.
func (c *cluster) testKubelet() {
	w := c.workers[0]
	daemon := c.daemon(w)
	w.kubelet.Stop()
	w.startKubelet()
	c.pod(w, "after")
	if log := w.pluginLog(); !strings.Contains(log, `"pod":"default/after"`) {
		c.t.Errorf("the plugin on %s says %q", w.Name, log)
	}
	c.until(w.Name+" to be ready", "True", "get", "node", w.Name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	c.untilCondition(w, "False NetworkProven")
	c.sameDaemon(w, daemon)
	c.must("delete", "pod", "after", "--wait")
}
