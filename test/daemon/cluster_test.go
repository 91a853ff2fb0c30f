package daemon

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/test/e2e/lab"
)

const staleRules = "service-rules-stale"

// judgedRules waits until the rules were compared with what the API server wants and nothing is found.
func (d *daemon) judgedRules() {
	d.t.Helper()
	d.until("the rules to be proven", func(s *status.Document) string {
		switch {
		case !slices.Contains(s.Audit.Judged, staleRules):
			return "they were not judged: " + skipped(s, staleRules)
		case len(s.Findings) > 0:
			return "there are findings"
		}
		return ""
	})
}

// skipped says why a check could not judge.
func skipped(s *status.Document, check string) string {
	for _, k := range s.Skipped {
		if k.Check == check {
			return k.Reason
		}
	}
	return ""
}

// TestTruth lets a real API server tell netmendd what a real kube-proxy has to write. A kube-proxy that stops is found out when it should have written what has
// changed; one that writes again ends that. An API server that is away makes nothing be found, and ends nothing.
func TestTruth(t *testing.T) {
	t.Parallel()
	c := lab.NewCluster(t)
	n := c.Join("truth")
	c.CreateWeb(n.Name, "10.244.5.2", "10.244.5.3")
	p := c.Proxy(n, facts.ModeNFTables)
	kubeconfig := c.Kubeconfig()
	d := newDaemon(t, n, "audit", "kubernetes: {access: "+kubeconfig+", node: "+n.Name+", report: false, condition: false, events: false}",
		"checks: {"+staleRules+": {settle: 2s}}").start()
	d.ready()
	d.healed(status.Kubernetes)
	d.judgedRules()

	p.Stop()
	c.ReplaceWeb(n.Name, "10.244.5.2", "10.244.5.4")
	changed := time.Now()
	s := d.until("the old rules to be found", func(s *status.Document) string {
		if finding(s, staleRules) == nil {
			return "no finding: " + skipped(s, staleRules)
		}
		return ""
	})
	took := time.Since(changed)
	f := finding(s, staleRules)
	t.Logf("after %s: %s", took.Round(time.Second), f.Message)
	if least := 17 * time.Second; took < least { // kube-proxy is given 15 s to write, and a finding has to last
		t.Errorf("it was told after %s; want at least %s", took, least)
	}
	if !f.Settled || f.On.Name != lab.Web || !strings.Contains(f.Message, "connections go to 10.244.5.3:8080") || !strings.Contains(f.Message, "10.244.5.4:8080 should have connections") {
		t.Errorf("the finding is %+v", f)
	}
	if got, err := d.metric(`netmend_findings{check="service-rules-stale",severity="critical"}`); err != nil || got != 1 {
		t.Errorf("the metric is %v, %v; want 1", got, err)
	}
	c.Proxy(n, facts.ModeNFTables)
	d.judgedRules()

	c.StopServer()
	d.broken(status.Kubernetes, "connection refused")
	d.until("the check to be skipped", func(s *status.Document) string {
		if len(s.Findings) > 0 {
			return "there are findings"
		}
		if why := skipped(s, staleRules); !strings.Contains(why, "the API server is not heard") {
			return "skipped: " + why
		}
		return ""
	})
	c.StartServer()
	s = d.untilCondition(status.Kubernetes, true, "")
	if len(s.Findings) > 0 {
		t.Errorf("an API server that was away makes findings: %s", describe(s))
	}

	d.configure("audit", "kubernetes: {access: "+kubeconfig+", node: nobody}") // another one
	d.untilCondition(status.Kubernetes, false, "the cluster has no Node nobody")
	d.configure("audit", "kubernetes: {access: /nowhere/kubeconfig}")
	d.untilCondition(status.Kubernetes, false, "/nowhere/kubeconfig: no such file")
	d.configure("audit") // none
	d.until("Kubernetes to be forgotten", func(s *status.Document) string {
		return condition(s, status.Kubernetes).Message + condition(s, status.Kubernetes).Name
	})
}
