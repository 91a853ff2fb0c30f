package cni

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFailurePolicy gives no time at all: nothing can be judged, and the policy decides. Where pods may not be refused, it decides nothing.
func TestFailurePolicy(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	pod, netmend := n.added(t)
	log := filepath.Join(t.TempDir(), "log")
	netmend["timeout"], netmend["logFile"] = "1ns", log
	for _, tt := range []struct {
		name, policy, mode, namespace string
		code                          uint // 0: it passes
	}{
		{"nothing is enforced", "Fail", "warn", "default", 0},
		{"ignored", "Ignore", "enforce", "default", 0},
		{"failed", "Fail", "enforce", "default", 100},
		{"kube-system", "Fail", "enforce", "kube-system", 0},
		{"netmend's own", "Fail", "enforce", "netmend", 0},
		{"no namespace", "Fail", "enforce", "", 100},
		{"off", "Fail", "off", "default", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			os.Remove(log)
			netmend["failurePolicy"], netmend["mode"] = tt.policy, tt.mode
			c := call{plugin: "netmend", command: "ADD", pod: pod}
			if tt.namespace != "" {
				c.args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=" + tt.namespace + ";K8S_POD_NAME=x"
			}
			o := n.run(c, netmend)
			switch {
			case tt.code == 0 && o.fail != nil:
				t.Errorf("%s; want it to pass", o.fail)
			case tt.code == 0 && len(o.out) == 0:
				t.Error("it does not hand the result on")
			case tt.code != 0 && (o.fail == nil || o.fail.Code != tt.code || !strings.Contains(o.fail.Msg, "could not be judged")):
				t.Errorf("%s; want code %d", o.fail, tt.code)
			}
			data, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			for _, check := range []string{"pod-mtu-mismatch", "service-rules-missing", "duplicate-ip-local", "neigh-overflow"} {
				if got, want := strings.Contains(string(data), `{"check":"`+check+`","reason":"`), tt.mode != "off"; got != want {
					t.Errorf("the log reports %s as skipped: %v; want %v: %s", check, got, want, data)
				}
			}
		})
	}
}

// TestExempt has a fault and pods of several namespaces: of those that are exempt, whoever named them, it is told only.
func TestExempt(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	pod, netmend := n.added(t)
	n.Sh("sysctl -qw net.ipv4.conf.cni0.forwarding=0")
	netmend["mode"] = "enforce"
	for _, tt := range []struct {
		name    string
		list    []string // nil: the default
		args    string
		refused bool
	}{
		{"kube-system", nil, "K8S_POD_NAMESPACE=kube-system", false},
		{"netmend's own", nil, "IgnoreUnknown=1;K8S_POD_NAMESPACE=netmend;K8S_POD_NAME=netmendd-x", false},
		{"default", nil, "K8S_POD_NAMESPACE=default", true},
		{"a longer name", nil, "K8S_POD_NAMESPACE=kube-system2", true},
		{"another argument", nil, "X=kube-system;K8S_POD_NAME=kube-system", true},
		{"no arguments", nil, "", true},
		{"named", []string{"shop"}, "K8S_POD_NAMESPACE=shop", false},
		{"no more the default", []string{"shop"}, "K8S_POD_NAMESPACE=kube-system", true},
		{"none", []string{}, "K8S_POD_NAMESPACE=kube-system", true},
		{"an empty name", []string{""}, "K8S_POD_NAMESPACE=", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			delete(netmend, "exemptNamespaces")
			if tt.list != nil {
				netmend["exemptNamespaces"] = tt.list
			}
			o := n.run(call{plugin: "netmend", command: "ADD", pod: pod, args: tt.args}, netmend)
			if refused := o.fail != nil && o.fail.Code == 112; refused != tt.refused {
				t.Errorf("%s; want refused %v", o.fail, tt.refused)
			}
			if !strings.Contains(string(o.err), `"check":"ip-forward"`) || strings.Contains(string(o.err), `"exempt":true`) == tt.refused {
				t.Errorf("standard error is %s", o.err)
			}
		})
	}
}

// TestModes has the same fault: what a check's own mode says goes before the mode of all.
func TestModes(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	pod, netmend := n.added(t)
	n.Sh("sysctl -qw net.ipv4.conf.cni0.forwarding=0")
	for _, tt := range []struct{ name, mode, own, want string }{
		{"default", "", "", "warn"},
		{"warn", "warn", "", "warn"},
		{"enforce", "enforce", "", "refuse"},
		{"off", "off", "", ""},
		{"its own off", "enforce", "off", ""},
		{"its own warn", "enforce", "warn", "warn"},
		{"its own enforce", "off", "enforce", "refuse"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			delete(netmend, "mode")
			delete(netmend, "checks")
			if tt.mode != "" {
				netmend["mode"] = tt.mode
			}
			if tt.own != "" {
				netmend["checks"] = map[string]string{"ip-forward": tt.own}
			}
			for _, command := range []string{"ADD", "CHECK"} {
				o := n.run(call{plugin: "netmend", command: command, pod: pod}, netmend)
				got := ""
				switch {
				case o.fail != nil && o.fail.Code == 112:
					got = "refuse"
				case o.fail != nil:
					t.Errorf("%s: %s", command, o.fail)
				case strings.Contains(string(o.err), `"check":"ip-forward"`):
					got = "warn"
				}
				if got != tt.want {
					t.Errorf("%s: %q; want %q: %s", command, got, tt.want, o.err)
				}
			}
		})
	}
}
