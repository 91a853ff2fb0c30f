package cluster

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
)

// untilReport waits until nothing is missing of what a node reports.
func (c *cluster) untilReport(w *worker, what string, missing func(*nodereport.Report) string) {
	c.t.Helper()
	c.Await("the report of "+w.Name+" to say "+what, func() (bool, string) {
		out, err := c.kubectl("get", "nodenetworkreport", w.Name, "-o", "json")
		if err != nil {
			return false, err.Error()
		}
		var r nodereport.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			return false, err.Error()
		}
		m := missing(&r)
		return m == "", m + "\n" + out
	})
}

// has says that something is missing unless the report has a finding of a check, at least as severe.
func has(r *nodereport.Report, name string, least check.Severity) string {
	for _, f := range r.Status.Findings {
		if f.Check == name && f.Severity >= least {
			return ""
		}
	}
	return "no " + name
}

// untilCondition waits until netmend's condition of a node has this status and reason; empty: until there is none.
func (c *cluster) untilCondition(w *worker, want string) {
	c.t.Helper()
	c.until("the condition of "+w.Name, want, "get", "node", w.Name, "-o", `jsonpath={range .status.conditions[?(@.type=="NetworkMisconfigured")]}{.status} {.reason}{end}`)
}

// untilDescribed waits until kubectl describe shows all words.
func (c *cluster) untilDescribed(kind, name string, words ...string) {
	c.t.Helper()
	c.Await(fmt.Sprintf("kubectl describe %s %s to show %q", kind, name, words), func() (bool, string) {
		out, err := c.kubectl("describe", kind, name)
		for _, word := range words {
			if !strings.Contains(out, word) {
				return false, fmt.Sprint(word, " is missing in ", out, err)
			}
		}
		return err == nil, fmt.Sprint(err)
	})
}

// testHealthy sees healthy nodes as the cluster's people do.
func (c *cluster) testHealthy() {
	for i, w := range c.workers {
		c.untilReport(w, "that it is proven", func(r *nodereport.Report) string {
			s := &r.Status
			if s.State != status.Proven || s.Critical+s.Warning+s.Mended > 0 || s.Mode != "fix" || s.Network.CNI != "cbr0" || s.Network.ProxyMode != w.proxy {
				return "it is not, or not in the mode, with the network or the proxy that it has"
			}
			if len(s.Network.Tunnels) != 1 || s.Network.Tunnels[0].Local.String() != w.address || s.Network.Tunnels[0].MAC != c.flannel.MAC(i) {
				return "the tunnel is another"
			}
			return ""
		})
		c.untilCondition(w, "False NetworkProven")
		uid := c.must("get", "node", w.Name, "-o", "jsonpath={.metadata.uid}")
		if owner := c.must("get", "nnr", w.Name, "-o", "jsonpath={.metadata.ownerReferences[*].uid}"); owner != uid {
			c.t.Errorf("the report of %s has the owners %q; want its Node, %s", w.Name, owner, uid)
		}
		if raw := c.must("get", "--raw", "/apis/"+nodereport.APIVersion+"/"+nodereport.Resource+"/"+w.Name); len(raw) > nodereport.MaxBytes {
			c.t.Errorf("the report of %s has %d bytes", w.Name, len(raw))
		}
	}
	table := c.must("get", "nnr")
	c.t.Log(table)
	if header, _, _ := strings.Cut(table, "\n"); strings.Join(strings.Fields(header), " ") != "NAME STATE CRITICAL WARNING MENDED AGE" {
		c.t.Errorf("kubectl get nnr has the columns %s", header)
	}
}
