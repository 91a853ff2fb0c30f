package kubeapi

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

// kubeconfig writes a file with which a program in the control plane's namespace reaches the API server by a token.
func kubeconfig(t *testing.T, bearer string) string {
	t.Helper()
	config, err := json.Marshal(object{"current-context": "c", "contexts": []object{{"name": "c", "context": object{"cluster": "c", "user": "u"}}},
		"clusters": []object{{"name": "c", "cluster": object{"server": "https://10.99.0.1:6443", "insecure-skip-tls-verify": true}}},
		"users":    []object{{"name": "u", "user": object{"token": bearer}}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestInstall lets Helm itself install, change and remove the chart. There are no nodes here: what becomes of the pods is the test of a whole cluster.
func TestInstall(t *testing.T) {
	c := lab.NewCluster(t)
	config := kubeconfig(t, "lab")
	helm := func(args ...string) string {
		t.Helper()
		cmd := c.NS.Command(filepath.Join(lab.Cache(t, "helm"), "helm"), append(args, "--namespace", namespace, "--kubeconfig", config)...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("helm %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	chart := filepath.Join(lab.Source(), "deploy/helm/netmend")
	there := func(kind, name string) bool {
		_, err := c.Do("GET", collections[kind]+"/"+name, nil)
		return err == nil
	}

	out := helm("install", "netmend", chart)
	for _, want := range []string{"runs on every node, in mode audit", "It changes nothing", "daemonset/netmend"} {
		if !strings.Contains(out, want) {
			t.Errorf("install does not say %q: %s", want, out)
		}
	}
	for kind, name := range map[string]string{
		"DaemonSet": "netmend", "ValidatingAdmissionPolicy": policy, "ValidatingAdmissionPolicyBinding": policy, "CustomResourceDefinition": "nodenetworkreports.netmend.io",
	} {
		if !there(kind, name) {
			t.Errorf("no %s %s", kind, name)
		}
	}
	if there("DaemonSet", "netmend-retire") || there("Job", "netmend-withdraw") {
		t.Error("the end has begun")
	}
	out = helm("upgrade", "netmend", chart, "--set", "mode=fix,podMonitor.enabled=false,uninstall.undoFixes=false")
	for _, want := range []string{"in mode fix", "keeps its plugin in the chain", "leaves fixes in force"} {
		if !strings.Contains(out, want) {
			t.Errorf("upgrade does not say %q: %s", want, out)
		}
	}
	helm("uninstall", "netmend", "--no-hooks")
	for _, kind := range []string{"DaemonSet", "ConfigMap", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} {
		list, err := c.Do("GET", collections[kind], nil)
		if err != nil || strings.Contains(string(list), `"name":"netmend`) {
			t.Errorf("%s: %v: of netmend there is something left: %s", kind, err, list)
		}
	}
}
