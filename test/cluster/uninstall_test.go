package cluster

import "strings"

// testUninstall has helm uninstall netmend: each node's files, and what netmend may change in its kernel, are as they were, and the cluster has nothing of it.
func (c *cluster) testUninstall() {
	c.helm("uninstall", "netmend", "--wait")
	for _, w := range c.workers {
		if diff := differences(w.before, w.files()); diff != "" {
			c.t.Errorf("%s has other files than before:\n%s", w.Name, diff)
		}
		if now := w.knobs(); now != w.faulty {
			c.t.Errorf("%s is\n%s\nand was before it was mended\n%s", w.Name, now, w.faulty)
		}
		if out := c.must("get", "node", w.Name, "-o", `jsonpath={.status.conditions[?(@.type=="NetworkMisconfigured")].status}`); out != "" {
			c.t.Errorf("%s has the condition %s", w.Name, out)
		}
		// Kubernetes's own taint may still be there, of a node that was not heard of while the API server was away.
		if out := c.must("get", "node", w.Name, "-o", "jsonpath={.spec.taints}"); strings.Contains(out, "netmend.io/") {
			c.t.Errorf("%s has the taint %s", w.Name, out)
		}
	}
	if out := c.must("get", "nnr", "-o", "name"); out != "" {
		c.t.Errorf("these reports are left: %s", out)
	}
	// Pods that were started through the plugin go as others do.
	for i := range c.workers {
		c.must("delete", "pod", "web-"+string(rune('a'+i)), "--wait", "--timeout=3m")
	}
	// The definition of reports is the cluster's: helm never removes one.
	kinds := "daemonsets,jobs,pods,configmaps,serviceaccounts,roles,rolebindings"
	for line := range strings.Lines(c.must("get", kinds, "-n", namespace, "-o", "name") + c.must("get", "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings", "-o", "name")) {
		if strings.Contains(line, "netmend") {
			c.t.Errorf("left in the cluster: %s", line)
		}
	}
}
