package cluster

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var lingering = flag.Duration("linger", 0, "how long the cluster stays at the end, for somebody to look at")

// TestCluster is the life of netmend on a cluster. Each step needs those before it.
func TestCluster(t *testing.T) {
	c := newCluster(t, netmendImage(t))
	defer c.linger() // before anything is taken away
	for _, step := range []struct {
		name string
		run  func(*cluster)
	}{
		{"pods reach each other", (*cluster).testPods},
		{"install", (*cluster).testInstall},
		{"privileges", (*cluster).testPrivileges},
		{"pods start through the plugin", (*cluster).testChain},
		{"reports of healthy nodes", (*cluster).testHealthy},
		{"faults are told", (*cluster).testFaults},
		{"bad checksums from another node", (*cluster).testChecksums},
		{"faults are mended", (*cluster).testMending},
		{"API server away", (*cluster).testOutage},
		{"kubelet restarts", (*cluster).testKubelet},
		{"a node's token", (*cluster).testToken},
		{"uninstall", (*cluster).testUninstall},
	} {
		if !t.Run(step.name, func(t *testing.T) {
			outer := c.t
			c.t = t
			defer func() { c.t = outer }()
			start := time.Now()
			step.run(c)
			t.Logf("%.1f s", time.Since(start).Seconds())
		}) {
			t.Fatal("what follows needs this step")
		}
	}
}

// linger shows a cluster on which something failed, and keeps any for as long as was asked for.
func (c *cluster) linger() {
	if c.t.Failed() {
		c.t.Log(c.netmendState())
	}
	if *lingering == 0 {
		return
	}
	for _, w := range c.workers {
		fmt.Println(w.Name, "below", w.Root, "is entered with:", w.Command("bash").Args)
	}
	fmt.Println("kubectl is:", c.NS.Command("env", "KUBECONFIG="+c.AdminConfig(), c.Program("kubectl")).Args)
	time.Sleep(*lingering)
}

// testPods starts a pod on each node, which answer each other.
func (c *cluster) testPods() {
	var pods [2]string
	for i, w := range c.workers {
		pods[i] = c.pod(w, "early-"+string(rune('a'+i)))
	}
	for i, w := range c.workers {
		answer, _, err := c.ask(w, pods[i], "http://"+pods[1-i]+":8080/")
		if want := "early-" + string(rune('a'+1-i)); err != nil || answer != want {
			c.t.Errorf("from a pod of %s to one of the other node: %q, %v; want %q", w.Name, answer, err, want)
		}
	}
}
