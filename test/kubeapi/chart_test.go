package kubeapi

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/netmend/netmend/test/e2e/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }

type object = map[string]any

const namespace = "kube-system"

// collections are the paths of the kinds that the chart has.
var collections = map[string]string{
	"ServiceAccount":                   "/api/v1/namespaces/" + namespace + "/serviceaccounts",
	"ConfigMap":                        "/api/v1/namespaces/" + namespace + "/configmaps",
	"DaemonSet":                        "/apis/apps/v1/namespaces/" + namespace + "/daemonsets",
	"Job":                              "/apis/batch/v1/namespaces/" + namespace + "/jobs",
	"Role":                             "/apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace + "/roles",
	"RoleBinding":                      "/apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace + "/rolebindings",
	"ClusterRole":                      "/apis/rbac.authorization.k8s.io/v1/clusterroles",
	"ClusterRoleBinding":               "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
	"ValidatingAdmissionPolicy":        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
	"ValidatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
	"CustomResourceDefinition":         "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}

// render gives the chart's objects as Helm makes them for the API server of this test.
func render(t *testing.T, set ...string) (out []object) {
	t.Helper()
	args := []string{
		"template", "netmend", filepath.Join(lab.Source(), "deploy/helm/netmend"), "--namespace", namespace, "--include-crds", "--kube-version", "1.35.4",
		"--api-versions", "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy",
	}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	text, err := exec.Command(filepath.Join(lab.Cache(t, "helm"), "helm"), args...).Output()
	if err != nil {
		t.Fatalf("helm template: %v", err)
	}
	for _, doc := range strings.Split(string(text), "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		if len(o) > 0 {
			out = append(out, o)
		}
	}
	return out
}

// install makes the objects, strictly: the API server refuses fields that it does not know.
func install(t *testing.T, c *lab.Cluster, objects []object) {
	t.Helper()
	for _, o := range objects {
		kind := fmt.Sprint(o["kind"])
		if collections[kind] == "" {
			t.Fatalf("this test does not know where a %s goes", kind)
		}
		if _, err := c.Do("POST", collections[kind]+"?fieldValidation=Strict", o); err != nil {
			t.Errorf("%v", err)
		}
	}
}

// decode gives what an answer says at a path of keys.
func decode(t *testing.T, answer string, keys ...string) any {
	t.Helper()
	var at any
	if err := json.Unmarshal([]byte(answer), &at); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	for _, k := range keys {
		m, ok := at.(map[string]any)
		if !ok {
			t.Fatalf("no %s in %s", k, answer)
		}
		at = m[k]
	}
	return at
}
