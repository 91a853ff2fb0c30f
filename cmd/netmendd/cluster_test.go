//go:build linux

package main

import (
	"context"
	"testing"

	"github.com/netmend/netmend/pkg/config"
)

// TestApply holds that the last configuration is the one that comes into force, however many there were before.
func TestApply(t *testing.T) {
	c := newCluster(&daemon{node: newNodeName()}, func(string) string { return "" }, nil)
	for _, access := range []string{"/a", "/b", "/c"} {
		c.apply(config.Kubernetes{Access: access})
	}
	if k := <-c.wanted; k.Access != "/c" {
		t.Errorf("in force is %q; want /c", k.Access)
	}
	select {
	case k := <-c.wanted:
		t.Errorf("%q is left", k.Access)
	default:
	}
}

// TestOwnName holds which name a node has where nobody gives it one.
func TestOwnName(t *testing.T) {
	n := newNodeName()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := n.wait(ended); got != "" {
		t.Errorf("before it is known the name is %q", got)
	}
	n.set("") // the node was not read yet
	n.set("Node-1")
	n.set("other")
	if got := n.wait(t.Context()); got != "node-1" {
		t.Errorf("the name is %q; want node-1", got)
	}
}

// TestAccess holds what is said where there are no credentials.
func TestAccess(t *testing.T) {
	none := func(string) string { return "" }
	for how, want := range map[string]string{
		config.InCluster: "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set",
		"/nowhere":       "read kubeconfig: open /nowhere: no such file or directory",
	} {
		if _, err := accessTo(how, none); err == nil || err.Error() != want {
			t.Errorf("accessTo(%q) = %v; want %s", how, err, want)
		}
	}
}
