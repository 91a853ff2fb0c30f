package kubeapi

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// pod makes one of the DaemonSet that cleans up, as its controller and kubelet would.
func pod(t *testing.T, c *lab.Cluster, node, ready string) {
	t.Helper()
	pods := "/api/v1/namespaces/" + namespace + "/pods"
	labels := object{"app.kubernetes.io/name": "netmend", "app.kubernetes.io/instance": "netmend", "app.kubernetes.io/component": "retire"}
	_, err := c.Do("POST", pods, object{"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": "retire-" + node, "labels": labels}, "spec": object{
		"nodeName": node, "containers": []object{{"name": "stay", "image": "localhost/netmend"}},
	}})
	if err == nil {
		_, err = c.Do("PATCH", pods+"/retire-"+node+"/status", object{"status": object{"conditions": []object{{"type": "Ready", "status": ready}}}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestWithdraw runs what the chart's Job runs, with the Job's own rights and nothing more: it deletes the DaemonSet, waits for the nodes that are ready, and takes
// back what was told of all nodes, also by those that are not ready.
func TestWithdraw(t *testing.T) {
	c := lab.NewCluster(t)
	install(t, c, render(t))
	retire := collections["DaemonSet"] + "/netmend-retire"
	for i, n := range []struct{ name, ready string }{{"clean", "True"}, {"slow", "True"}, {"down", "Unknown"}} {
		c.CreateNode(n.name, fmt.Sprintf("10.99.0.%d", 10+i))
		patch := conditions("NetworkMisconfigured")
		patch["status"].(object)["conditions"] = append(patch["status"].(object)["conditions"].([]object), object{"type": "Ready", "status": n.ready})
		for path, body := range map[string]object{"/status": patch, "": {"spec": object{"taints": []object{{"key": "netmend.io/network-not-ready", "effect": "NoSchedule"}}}}} {
			if _, err := c.Do("PATCH", "/api/v1/nodes/"+n.name+path, body); err != nil {
				t.Fatal(err)
			}
		}
		lab.WaitFor(t, time.Minute, "the new kind", func() (bool, string) {
			_, err := c.Do("POST", "/apis/netmend.io/v1alpha1/nodenetworkreports", report(n.name, nil))
			return err == nil, fmt.Sprint(err)
		})
	}
	pod(t, c, "clean", "True")
	pod(t, c, "slow", "False")
	pod(t, c, "down", "False")
	if _, err := c.Do("PATCH", retire+"/status", object{"status": object{"observedGeneration": 1, "desiredNumberScheduled": 3}}); err != nil {
		t.Fatal(err)
	}

	made, err := c.Do("POST", collections["ServiceAccount"]+"/netmend-withdraw/token", object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"})
	if err != nil {
		t.Fatal(err)
	}
	config := kubeconfig(t, decode(t, string(made), "status", "token").(string))
	withdraw := func(timeout string) (string, error) {
		out, err := c.NS.Command(os.Getenv("NETMENDCTL"), "withdraw", "--kubeconfig", config, "--remove="+namespace+"/netmend", "--retired="+namespace+"/netmend-retire",
			"--timeout="+timeout).CombinedOutput()
		return string(out), err
	}

	out, err := withdraw("3s")
	if err == nil || !strings.Contains(out, "1 of 3 nodes are clean, and these are not: slow") {
		t.Errorf("a node that does not come to an end: %v: %s", err, out)
	}
	if _, err := c.Do("GET", "/apis/netmend.io/v1alpha1/nodenetworkreports/clean", nil); err != nil {
		t.Errorf("its report is gone too early: %v", err)
	}
	if _, err := c.Do("PATCH", "/api/v1/namespaces/"+namespace+"/pods/retire-slow/status", object{"status": object{"conditions": []object{{"type": "Ready", "status": "True"}}}}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"2 of 3 nodes are clean.\nReports, conditions and taints of 3 nodes are taken back.\nNot ready, and therefore not clean: down.", "of 0 nodes are taken back"} {
		if out, err = withdraw("20s"); err != nil || !strings.Contains(out, want) {
			t.Errorf("run %d: %v: %s; want %s", i, err, out, want)
		}
	}
	if _, err := c.Do("GET", collections["DaemonSet"]+"/netmend", nil); err == nil {
		t.Error("the daemon's DaemonSet is there")
	}
	nodes, err := c.Do("GET", "/api/v1/nodes", nil)
	if err != nil || strings.Contains(string(nodes), "NetworkMisconfigured") || strings.Contains(string(nodes), "netmend.io") || !strings.Contains(string(nodes), `"type":"Ready"`) {
		t.Errorf("nodes: %v: %s", err, nodes)
	}
	if reports, err := c.Do("GET", "/apis/netmend.io/v1alpha1/nodenetworkreports", nil); err != nil || strings.Contains(string(reports), `"status"`) {
		t.Errorf("reports: %v: %s", err, reports)
	}
}
