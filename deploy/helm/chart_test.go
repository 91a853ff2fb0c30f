package helm

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/config"
)

const chart = "netmend"

// policyAPI is the API by which Helm knows whether a cluster has ValidatingAdmissionPolicies.
const policyAPI = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"

// program gives helm, which is built once for all tests.
var program = sync.OnceValues(func() (string, error) {
	c := exec.Command("../../scripts/cache.sh", "helm")
	c.Stderr = os.Stderr
	out, err := c.Output()
	return filepath.Join(strings.TrimSpace(string(out)), "helm"), err
})

func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	// go test gives a result of before again unless a file has changed that this process itself has read.
	err := filepath.WalkDir(chart, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			_, err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	return string(out), err
}

// object is one of the chart's, by what tests ask of it.
type object struct {
	Kind     string
	Metadata struct {
		Name        string
		Annotations map[string]string
	}
	Data  map[string]string
	Rules []struct{ APIGroups, Resources, ResourceNames, Verbs []string }
	Spec  struct{ Template struct{ Spec pod } }
}

type pod struct {
	ServiceAccountName           string
	AutomountServiceAccountToken *bool
	HostNetwork                  bool
	PriorityClassName            string
	Tolerations                  []map[string]string
	SecurityContext              struct {
		SeccompProfile struct{ Type string }
		RunAsNonRoot   bool
	}
	InitContainers, Containers []container
	Volumes                    []struct {
		Name      string
		HostPath  *struct{ Path, Type string }
		Projected *struct{}
	}
}

type container struct {
	Name            string
	Args            []string
	Env             []struct{ Name, Value string }
	SecurityContext struct {
		Privileged               bool
		AllowPrivilegeEscalation *bool
		ReadOnlyRootFilesystem   bool
		Capabilities             struct{ Add, Drop []string }
		AppArmorProfile          struct{ Type string }
	}
	LivenessProbe, ReadinessProbe *struct {
		HTTPGet struct {
			Host, Path string
			Port       int
		}
	}
	VolumeMounts []struct {
		Name, MountPath, MountPropagation string
		ReadOnly                          bool
	}
}

// render gives the chart's objects with these values.
func render(t *testing.T, args ...string) (out []object) {
	t.Helper()
	text, err := helm(t, append([]string{"template", "netmend", chart, "--namespace", "kube-system", "--kube-version", "1.35.0", "--api-versions", policyAPI}, args...)...)
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, text)
	}
	for _, doc := range strings.Split(text, "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatalf("%v: %v in:\n%s", args, err, doc)
		}
		if o.Kind != "" {
			out = append(out, o)
		}
	}
	return out
}

// find gives an object; nil where there is none.
func find(objects []object, kind, name string) *object {
	i := slices.IndexFunc(objects, func(o object) bool { return o.Kind == kind && o.Metadata.Name == name })
	if i < 0 {
		return nil
	}
	return &objects[i]
}

func set(values ...string) (args []string) {
	for _, v := range values {
		args = append(args, "--set", v)
	}
	return args
}

// everything are values that turn on all that is off by default.
var everything = set("mode=fix", "kubernetes.startupTaint=true", "podMonitor.enabled=true", "serviceMonitor.enabled=true", "prometheusRule.enabled=true", "http.address=",
	"kubernetes.apiServer.host=10.0.0.1", "podCIDRs={10.244.0.0/16}", "nodePodCIDRs={10.244.1.0/24}", "log.format=json", "checks.rp-filter-strict.fix=on",
	"checks.forward-blocked.ignore={docker0}", "services[0].name=default/kubernetes:https", "services[0].vip=10.96.0.1", "services[0].port=443", "imagePullSecrets[0].name=x",
	"chain.entry.mode=enforce", "podLabels.a=b", "podAnnotations.a=b", "daemonSetAnnotations.a=b", "serviceAccount.annotations.a=b", "podMonitor.labels.a=b",
	"image.digest=sha256:0123456789012345678901234567890123456789012345678901234567890123", "nameOverride=other")

func TestLint(t *testing.T) {
	for _, values := range [][]string{nil, everything, set("kubernetes.enabled=false")} {
		if out, err := helm(t, append([]string{"lint", "--strict", chart}, values...)...); err != nil {
			t.Errorf("helm lint %v: %v: %s", values, err, out)
		}
	}
}

// TestValues holds what the schema refuses.
func TestValues(t *testing.T) {
	for _, value := range []string{
		"mode=mend", "mdoe=fix", "http.port=0", "http.address=localhost", "image.repository=", "image.digest=latest", "chain.entry.type=bandwidth", "intervals.fullAudit=often",
		"kubernetes.apiserver.host=x", "uninstall.timeoutSeconds=1", "admissionPolicy.enabled=maybe", "securityContext.addCapabilities={CAP_CHOWN}", "host.writable={etc}",
		"checks.rp-filter-strict.fix=mend", "log.level=trace", "services[0].name=a", "podCIDRs={ten}", "tolerations=all",
	} {
		if out, err := helm(t, "template", "netmend", chart, "--set", value); err == nil || !strings.Contains(out, "values don't meet the specifications of the schema") {
			t.Errorf("%s: %v: %.200s; want it refused by the schema", value, err, out)
		}
	}
}

// TestConfiguration lets the daemon itself judge the configuration that values make, and looks whether they have come through.
func TestConfiguration(t *testing.T) {
	dir := t.TempDir()
	daemon := filepath.Join(dir, "netmendd")
	if out, err := exec.Command("go", "build", "-o", daemon, "../../cmd/netmendd").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	suite, err := audit.Default()
	if err != nil {
		t.Fatal(err)
	}
	on := config.Kubernetes{Access: config.InCluster, Services: true, Report: true, Condition: true, Events: true}
	taint := on
	taint.StartupTaint = true
	for i, tt := range []struct {
		values     []string
		mode       config.Mode
		listen     string
		keep       bool
		kubernetes config.Kubernetes
	}{
		{nil, config.Audit, "127.0.0.1:26363", true, on},
		{everything, config.Fix, ":26363", true, taint},
		{set("kubernetes.enabled=false"), config.Audit, "127.0.0.1:26363", true, config.Kubernetes{}},
		{set("http.address=::"), config.Audit, "[::]:26363", true, on},
		{set("http.address=fd00::1", "http.port=1", "kubernetes.events=false"), config.Audit, "[fd00::1]:1", true, config.Kubernetes{Access: config.InCluster, Services: true, Report: true, Condition: true}},
		{set("chain.keep=false", "checks.rp-filter-strict.fix=2"), config.Audit, "127.0.0.1:26363", false, on},
	} {
		objects := render(t, tt.values...)
		j := slices.IndexFunc(objects, func(o object) bool { return o.Kind == "ConfigMap" })
		text, file := objects[j].Data["netmend.yaml"], filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(daemon, "--check-config", "--config", file).CombinedOutput(); err != nil {
			t.Errorf("%v: %v: %s\n%s", tt.values, err, out, text)
			continue
		}
		f, err := config.Open(file, suite)
		if err != nil {
			t.Fatal(err)
		}
		if c := f.Config(); c.Mode != tt.mode || c.Listen != tt.listen || c.KeepChain != tt.keep || c.Kubernetes != tt.kubernetes {
			t.Errorf("%v: mode %s, listen %s, keep %v, %+v; want %+v", tt.values, c.Mode, c.Listen, c.KeepChain, c.Kubernetes, tt)
		}
	}
}
