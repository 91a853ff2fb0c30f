package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// testToken takes the token of the first node's daemon, as somebody does who owns that node, and tries what it may: what is that node's own, and nothing of the
// other one.
func (c *cluster) testToken() {
	own, other := c.workers[0].Name, c.workers[1].Name
	pid := strings.TrimSpace(c.workers[0].Sh("pidof netmendd"))
	token := c.workers[0].Sh("cat /proc/" + pid + "/root/var/run/secrets/kubernetes.io/serviceaccount/token")
	config := filepath.Join(c.t.TempDir(), "stolen.kubeconfig")
	if err := os.WriteFile(config, []byte(c.Kubeconfig(strings.TrimSpace(token))), 0o600); err != nil {
		c.t.Fatal(err)
	}
	try := func(args ...string) (string, error) {
		return c.Admin(c.Program("kubectl"), append([]string{"--kubeconfig=" + config}, args...)...)
	}
	condition := `{"status":{"conditions":[{"type":"NetworkMisconfigured","status":"%s","reason":"Tried"}]}}`
	ready := `{"status":{"conditions":[{"type":"Ready","status":"False","reason":"Tried"}]}}`
	report := `{"status":{"critical":7}}`
	taint := `{"spec":{"taints":[{"key":"%s","effect":"NoSchedule"}]}}`
	for _, tt := range []struct {
		name    string
		allowed bool
		args    []string
	}{
		{"the own report", true, []string{"patch", "nnr", own, "--type=merge", "-p", report}},
		{"the own condition", true, []string{"patch", "node", own, "--subresource=status", "-p", fmt.Sprintf(condition, "Unknown")}},
		{"another's report", false, []string{"patch", "nnr", other, "--type=merge", "-p", report}},
		{"another's report away", false, []string{"delete", "nnr", other}},
		{"another's condition", false, []string{"patch", "node", other, "--subresource=status", "-p", fmt.Sprintf(condition, "True")}},
		{"another's taint", false, []string{"patch", "node", other, "-p", fmt.Sprintf(taint, "netmend.io/network-not-ready")}},
		{"the own Ready", false, []string{"patch", "node", own, "--subresource=status", "-p", ready}},
		{"another taint", false, []string{"patch", "node", own, "-p", fmt.Sprintf(taint, "example.org/mine")}},
		{"an own label", false, []string{"label", "node", own, "tried=yes"}},
		{"a report of no node", false, []string{"create", "-f", c.write("report.yaml", "apiVersion: netmend.io/v1alpha1\nkind: NodeNetworkReport\nmetadata: {name: elsewhere}\nstatus: {}\n")}},
		{"secrets", false, []string{"get", "secrets", "-A"}},
		{"pods", false, []string{"get", "pods", "-A"}},
	} {
		out, err := try(tt.args...)
		if (err == nil) != tt.allowed {
			c.t.Errorf("%s: allowed is %v: %s, %v", tt.name, err == nil, out, err)
		}
		if err != nil && !strings.Contains(strings.ToLower(err.Error()), "forbidden") && !strings.Contains(err.Error(), "denied") {
			c.t.Errorf("%s: it failed for another reason: %v", tt.name, err)
		}
	}
	// The daemon says again what is so.
	c.untilCondition(c.workers[0], "False NetworkProven")
}

// write makes a file for kubectl.
func (c *cluster) write(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}
