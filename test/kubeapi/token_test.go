package kubeapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

const policy = "netmend-own-node"

// token gives one of the chart's service account, as kubelet gets it for a pod of the DaemonSet on a node; without a node it is bound to nothing.
func token(t *testing.T, c *lab.Cluster, node string) string {
	t.Helper()
	request := object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": object{"expirationSeconds": 3607}}
	if node != "" {
		pods := "/api/v1/namespaces/" + namespace + "/pods"
		pod := object{"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": "netmend-" + node}, "spec": object{
			"serviceAccountName": "netmend", "nodeName": node, "containers": []object{{"name": "netmendd", "image": "localhost/netmend"}},
		}}
		made, err := c.Do("POST", pods, pod)
		if err != nil {
			t.Fatal(err)
		}
		request["spec"].(object)["boundObjectRef"] = object{
			"apiVersion": "v1", "kind": "Pod", "name": "netmend-" + node, "uid": decode(t, string(made), "metadata", "uid"),
		}
	}
	made, err := c.Do("POST", "/api/v1/namespaces/"+namespace+"/serviceaccounts/netmend/token", request)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, string(made), "status", "token").(string)
}

// attempt is one request with a token, and what becomes of it.
type attempt struct {
	name, token, method, path string
	body                      object
	refused                   string // by the policy with these words, or by "RBAC"; empty: it is allowed
}

func report(node string, metadata object) object {
	m := object{"name": node}
	for k, v := range metadata {
		m[k] = v
	}
	return object{"apiVersion": "netmend.io/v1alpha1", "kind": "NodeNetworkReport", "metadata": m, "status": object{
		"state": "proven", "since": "2026-01-02T03:04:05Z", "mode": "audit", "critical": 0, "warning": 0, "info": 0, "mended": 0,
		"versions": object{"netmend": "v0.1.0", "kernel": "6.1.0"}, "network": object{},
	}}
}

func event(name, host, component, kind, about string) object {
	return object{"apiVersion": "v1", "kind": "Event", "metadata": object{"name": name, "namespace": "default"}, "reason": "NetworkFaultFound", "type": "Warning",
		"message": "x", "count": 1, "firstTimestamp": "2026-01-02T03:04:05Z", "lastTimestamp": "2026-01-02T03:04:05Z",
		"involvedObject": object{"apiVersion": "v1", "kind": kind, "name": about, "namespace": map[string]string{"Pod": "default"}[kind]},
		"source":         object{"component": component, "host": host}}
}

func conditions(kinds ...string) object {
	var list []object
	for _, k := range kinds {
		list = append(list, object{"type": k, "status": "True", "reason": "Test", "message": "x", "lastHeartbeatTime": "2026-01-02T03:04:05Z", "lastTransitionTime": "2026-01-02T03:04:05Z"})
	}
	return object{"status": object{"conditions": list}}
}

func attempts(mine, loose string) []attempt {
	const (
		nodes   = "/api/v1/nodes/"
		reports = "/apis/netmend.io/v1alpha1/nodenetworkreports"
		events  = "/api/v1/namespaces/default/events"
		another = "another node's objects are not its to write"
	)
	taint := func(key, effect string) object {
		return object{"spec": object{"taints": []object{{"key": "a/b", "effect": "NoSchedule"}, {"key": key, "effect": effect}}}}
	}
	const ours = "netmend.io/network-not-ready"
	return []attempt{
		{"its condition", mine, "PATCH", nodes + "mine/status?strategic", conditions("NetworkMisconfigured"), ""},
		{"its condition again", mine, "PATCH", nodes + "mine/status?strategic", conditions("NetworkMisconfigured"), ""},
		{"another's condition", mine, "PATCH", nodes + "other/status?strategic", conditions("NetworkMisconfigured"), another},
		{"another condition of its own", mine, "PATCH", nodes + "mine/status?strategic", conditions("PIDPressure"), "the condition NetworkMisconfigured is netmend's"},
		{"all conditions at once", mine, "PATCH", nodes + "mine/status", conditions("NetworkMisconfigured"), "the condition NetworkMisconfigured is netmend's"},
		{"its capacity", mine, "PATCH", nodes + "mine/status", object{"status": object{"capacity": object{"cpu": "99"}}}, "of a Node's status"},
		{"its addresses", mine, "PATCH", nodes + "mine/status", object{"status": object{"addresses": []object{{"type": "InternalIP", "address": "10.9.9.9"}}}}, "of a Node's status"},
		{"its labels by its status", mine, "PATCH", nodes + "mine/status", object{"metadata": object{"labels": object{"a": "b"}}}, "metadata of a Node"},
		{"its condition away", mine, "PATCH", nodes + "mine/status?strategic", object{"status": object{"conditions": []object{{"$patch": "delete", "type": "NetworkMisconfigured"}}}}, ""},
		{"Ready away", mine, "PATCH", nodes + "mine/status?strategic", object{"status": object{"conditions": []object{{"$patch": "delete", "type": "Ready"}}}}, "the condition NetworkMisconfigured is netmend's"},

		{"its taint", mine, "PATCH", nodes + "mine", taint(ours, "NoSchedule"), ""},
		{"its taint away", mine, "PATCH", nodes + "mine", object{"spec": object{"taints": []object{{"key": "a/b", "effect": "NoSchedule"}}}}, ""},
		{"another's taint", mine, "PATCH", nodes + "other", object{"spec": object{"taints": []object{{"key": ours, "effect": "NoSchedule"}}}}, another},
		{"a taint of its own that evicts", mine, "PATCH", nodes + "mine", taint(ours, "NoExecute"), "the taint netmend.io/network-not-ready"},
		{"a taint that is not netmend's", mine, "PATCH", nodes + "mine", taint("c/d", "NoSchedule"), "the taint netmend.io/network-not-ready"},
		{"others' taints away", mine, "PATCH", nodes + "mine", object{"spec": object{"taints": nil}}, "the taint netmend.io/network-not-ready"},
		{"cordon", mine, "PATCH", nodes + "mine", object{"spec": object{"unschedulable": true}}, "of a Node's spec"},
		{"its labels", mine, "PATCH", nodes + "mine", object{"metadata": object{"labels": object{"a": "b"}}}, "metadata of a Node"},
		{"its annotations", mine, "PATCH", nodes + "mine", object{"metadata": object{"annotations": object{"a": "b"}}}, "metadata of a Node"},
		{"a finalizer", mine, "PATCH", nodes + "mine", object{"metadata": object{"finalizers": []string{"a/b"}}}, "metadata of a Node"},
		{"its Node away", mine, "DELETE", nodes + "mine", nil, "RBAC"},
		{"a new Node", mine, "POST", "/api/v1/nodes", object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": "new"}}, "RBAC"},

		{"another's report, new", mine, "POST", reports, report("other", nil), another},
		{"a report with a finalizer", mine, "POST", reports, report("mine", object{"finalizers": []string{"a/b"}}), "has no finalizer"},
		{"a report of another owner", mine, "POST", reports, report("mine", object{"ownerReferences": []object{{"apiVersion": "v1", "kind": "Node", "name": "other", "uid": "1"}}}), "a report belongs to its Node"},
		{"its report", mine, "POST", reports, report("mine", object{"ownerReferences": []object{{"apiVersion": "v1", "kind": "Node", "name": "mine", "uid": "1"}}}), ""},
		{"its report again", mine, "PUT", reports + "/mine", report("mine", object{"labels": object{"a": "b"}}), ""},
		{"another's report", mine, "PATCH", reports + "/theirs", object{"status": object{"state": "faulty"}}, "RBAC"},
		{"another's report, whole", mine, "PUT", reports + "/theirs", report("theirs", nil), another},
		{"another's report away", mine, "DELETE", reports + "/theirs", nil, another},
		{"the reports of those that claim the taint", mine, "GET", reports + "?labelSelector=netmend.io/network-not-ready-claim", nil, ""},
		{"all reports away", mine, "DELETE", reports, nil, "RBAC"},
		{"its report away", mine, "DELETE", reports + "/mine", nil, ""},

		{"an event of its Node", mine, "POST", events, event("e1", "mine", "netmend", "Node", "mine"), ""},
		{"an event of a pod", mine, "POST", events, event("e2", "mine", "netmend", "Pod", "p"), ""},
		{"that event again", mine, "PATCH", events + "/e1", object{"count": 2}, ""},
		{"an event of another Node", mine, "POST", events, event("e3", "mine", "netmend", "Node", "other"), "from its own node and are about that Node, or pods"},
		{"an event from another node", mine, "POST", events, event("e4", "other", "netmend", "Pod", "p"), "from its own node"},
		{"an event in kubelet's name", mine, "POST", events, event("e5", "mine", "kubelet", "Node", "mine"), "from its own node"},
		{"an event of something else", mine, "POST", events, event("e6", "mine", "netmend", "Namespace", "default"), "about that Node, or pods"},
		{"another's event", mine, "PATCH", events + "/theirs", object{"message": "y"}, "from its own node"},
		{"another's event taken over", mine, "PATCH", events + "/theirs", object{"source": object{"host": "mine"}, "involvedObject": object{"name": "mine"}}, "another's event"},
		{"its event away", mine, "DELETE", events + "/e1", nil, "RBAC"},

		{"a condition with a token of no node", loose, "PATCH", nodes + "mine/status?strategic", conditions("NetworkMisconfigured"), "not bound to a node"},
		{"a report with a token of no node", loose, "POST", reports, report("mine", nil), "not bound to a node"},
		{"secrets", mine, "GET", "/api/v1/secrets", nil, "RBAC"},
		{"pods", mine, "GET", "/api/v1/pods", nil, "RBAC"},
		{"Nodes", mine, "GET", "/api/v1/nodes", nil, ""},
		{"Services", mine, "GET", "/api/v1/services", nil, ""},
		{"EndpointSlices", mine, "GET", "/apis/discovery.k8s.io/v1/endpointslices", nil, ""},
	}
}

// TestToken tries what the daemon's token may do, and what somebody might who has taken it from one node.
func TestToken(t *testing.T) {
	c := lab.NewCluster(t)
	for i, n := range []string{"mine", "other", "theirs"} {
		c.CreateNode(n, fmt.Sprintf("10.99.0.%d", 10+i))
	}
	install(t, c, render(t, "kubernetes.startupTaint=true"))
	if t.Failed() {
		return
	}
	for path, body := range map[string]object{
		"/apis/netmend.io/v1alpha1/nodenetworkreports": report("theirs", nil), "/api/v1/namespaces/default/events": event("theirs", "theirs", "netmend", "Node", "theirs"),
	} {
		lab.WaitFor(t, time.Minute, "the new kind", func() (bool, string) {
			_, err := c.Do("POST", path, body)
			return err == nil, fmt.Sprint(err)
		})
	}
	if _, err := c.Do("PATCH", "/api/v1/nodes/mine", object{"spec": object{"taints": []object{{"key": "a/b", "effect": "NoSchedule"}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do("PATCH", "/api/v1/nodes/mine/status", conditions("Ready", "DiskPressure")); err != nil {
		t.Fatal(err)
	}
	mine, loose := token(t, c, "mine"), token(t, c, "")
	lab.WaitFor(t, time.Minute, "the policy", func() (bool, string) {
		code, answer := c.As(mine, "PATCH", "/api/v1/nodes/other/status?strategic", conditions("NetworkMisconfigured"))
		return code == http.StatusForbidden && strings.Contains(answer, policy), answer
	})
	for _, a := range attempts(mine, loose) {
		if a.method == http.MethodPut {
			there, err := c.Do("GET", a.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			a.body["metadata"].(object)["resourceVersion"] = decode(t, string(there), "metadata", "resourceVersion")
		}
		code, answer := c.As(a.token, a.method, a.path, a.body)
		byPolicy := strings.Contains(answer, policy)
		switch {
		case a.refused == "" && code >= 300:
			t.Errorf("%s: %d %s; want it allowed", a.name, code, answer)
		case a.refused == "RBAC" && (code != http.StatusForbidden || byPolicy):
			t.Errorf("%s: %d %s; want it refused by RBAC", a.name, code, answer)
		case a.refused != "" && a.refused != "RBAC" && (code != http.StatusForbidden || !byPolicy || !strings.Contains(answer, a.refused)):
			t.Errorf("%s: %d %s; want it refused by the policy: %s", a.name, code, answer, a.refused)
		}
	}
}
