package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/test/e2e/lab"
)

// namespace is where netmend is installed.
const namespace = "netmend"

// chart is the directory of netmend's.
func chart() string { return filepath.Join(lab.Source(), "deploy/helm/netmend") }

// values are what the chart is told, besides the mode: the plugin has a timeout for busy machines and tells what it did, and faults are found soon.
func values(mode string) map[string]any {
	return map[string]any{
		"mode":      mode,
		"chain":     map[string]any{"keep": true, "entry": map[string]any{"type": "netmend", "timeout": "5s", "logFile": "/var/log/netmend.log"}},
		"intervals": map[string]any{"fullAudit": "30s", "counterWindow": "5s"},
		"log":       map[string]any{"level": "debug"},

		"kubernetes": map[string]any{"startupTaint": true},
	}
}

// helm runs helm, which must not fail.
func (c *cluster) helm(args ...string) {
	c.t.Helper()
	args = append([]string{"--namespace", namespace, "--timeout", "5m"}, args...)
	if out, err := c.Admin(filepath.Join(lab.Cache(c.t, "helm"), "helm"), args...); err != nil {
		c.t.Fatalf("%v\n%s\n%s", err, out, c.netmendState())
	}
}

// netmendState is what there is to see of netmend's pods.
func (c *cluster) netmendState() string {
	var all strings.Builder
	for _, args := range [][]string{
		{"get", "pods", "-A", "-o", "wide"}, {"get", "events", "-A"}, {"logs", "-n", namespace, "-l", "app.kubernetes.io/instance=netmend", "--tail=50", "--prefix"},
	} {
		out, err := c.kubectl(args...)
		fmt.Fprintln(&all, out, err)
	}
	for _, w := range c.workers {
		said, err := os.ReadFile(filepath.Join(w.Root, "var/log/netmend.log"))
		fmt.Fprintf(&all, "the plugin on %s: %s %v\n", w.Name, said, err)
	}
	return all.String()
}

// install has helm install or upgrade the chart, and waits until all its pods are ready.
func (c *cluster) install(verb, mode string, args ...string) {
	c.t.Helper()
	data, err := json.Marshal(values(mode))
	path := filepath.Join(c.t.TempDir(), "values.json")
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.helm(append([]string{verb, "netmend", chart(), "--wait", "--values", path}, args...)...)
	// helm is content when all but those that may be unavailable are ready.
	if out, err := c.kubectl("rollout", "status", "-n", namespace, "daemonset/netmend", "--timeout=5m"); err != nil {
		c.t.Fatalf("%v\n%s\n%s", err, out, c.netmendState())
	}
}

// testInstall installs netmend in mode fix: it is ready on both nodes, and frees the one that waits for it.
func (c *cluster) testInstall() {
	for _, w := range c.workers {
		w.before = w.files()
	}
	w := c.workers[1]
	c.must("taint", "node", w.Name, "netmend.io/network-not-ready=:NoSchedule") // as kubelet would that registers its node with it
	c.install("install", "fix", "--create-namespace")
	c.until("the startup taint to be taken from "+w.Name, "", "get", "node", w.Name, "-o", "jsonpath={.spec.taints}")
	if out := c.must("get", "daemonset", "-n", namespace, "netmend", "-o", "jsonpath={.status.desiredNumberScheduled} {.status.numberReady}"); out != "2 2" {
		c.t.Errorf("desired and ready: %s", out)
	}
	for _, w := range c.workers {
		c.untilStatus(w, "to be proven", func(s *status.Document) string {
			if s.State != status.Proven || !s.Ready || s.Mode != "fix" || s.Node != w.Name {
				return "it is not"
			}
			for _, x := range s.Conditions {
				if !x.OK {
					return x.Name + " is not met: " + x.Message
				}
			}
			return ""
		})
	}
}

// daemon is the name of netmend's pod on a node.
func (c *cluster) daemon(w *worker) string {
	c.t.Helper()
	return strings.TrimSpace(c.must("get", "pod", "-n", namespace, "-l", "app.kubernetes.io/component=daemon", "--field-selector=status.phase=Running,spec.nodeName="+w.Name,
		"-o", `jsonpath={.items[*].metadata.name}`))
}

// netmendctl runs the one that is in netmend's pod on a node.
func (c *cluster) netmendctl(w *worker, args ...string) (string, error) {
	return c.kubectl(append([]string{"exec", "-n", namespace, c.daemon(w), "--", "netmendctl"}, args...)...)
}

// untilStatus asks the daemon of a node until nothing is missing.
func (c *cluster) untilStatus(w *worker, what string, missing func(*status.Document) string) {
	c.t.Helper()
	c.Await(w.Name+" "+what, func() (bool, string) {
		// It ends with 1 or 2 where not all is well, and prints what it knows all the same.
		out, err := c.netmendctl(w, "status", "--root", "/host", "-o", "json")
		var s status.Document
		if jerr := json.Unmarshal([]byte(out), &s); jerr != nil {
			return false, fmt.Sprint(out, err, jerr)
		}
		m := missing(&s)
		return m == "", m + "\n" + out
	})
}

// testChain starts pods: netmend is the last plugin of each node's chain, proves their network, and lets them start.
func (c *cluster) testChain() {
	for i, w := range c.workers {
		c.Await("netmend in the chain of "+w.Name, func() (bool, string) {
			plugins, err := w.chain()
			return err == nil && slices.Equal(plugins, []string{"bridge", "portmap", "netmend"}), fmt.Sprint(plugins, err)
		})
		name := "web-" + string(rune('a'+i))
		w.web = c.pod(w, name)
		log := w.pluginLog()
		if !strings.Contains(log, `"command":"ADD"`) || !strings.Contains(log, `"verdict":"pass"`) || !strings.Contains(log, `"pod":"default/`+name+`"`) {
			c.t.Errorf("the plugin on %s says %q", w.Name, log)
		}
	}
	for i, w := range c.workers {
		answer, _, err := c.ask(w, w.web, "http://"+c.workers[1-i].web+":8080/")
		if want := "web-" + string(rune('a'+1-i)); err != nil || answer != want {
			c.t.Errorf("from a pod of %s to one of the other node: %q, %v; want %q", w.Name, answer, err, want)
		}
	}
}

// chain gives the types of the plugins that the node's pods go through.
func (w *worker) chain() (plugins []string, err error) {
	data, err := os.ReadFile(filepath.Join(w.Root, "etc/cni/net.d/10-flannel.conflist"))
	if err != nil {
		return nil, err
	}
	var list struct{ Plugins []struct{ Type string } }
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	for _, p := range list.Plugins {
		plugins = append(plugins, p.Type)
	}
	return plugins, nil
}

// pluginLog is what the plugin has told on the node.
func (w *worker) pluginLog() string {
	data, err := os.ReadFile(filepath.Join(w.Root, "var/log/netmend.log"))
	if err != nil {
		return err.Error()
	}
	return string(data)
}
