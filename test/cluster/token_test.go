package cluster

import (
	"net/http"
	"strings"

	"github.com/netmend/netmend/pkg/nodereport"
)

// The content types of patches.
const (
	merge     = "application/merge-patch+json"
	strategic = "application/strategic-merge-patch+json"
)

type object = map[string]any

// testToken takes the token of the first node's daemon, as somebody does who owns that node, and tries what it may: what is that node's own, and nothing of the
// other one. The daemon's role allows all of these requests but the last three: who refuses
// the others is the ValidatingAdmissionPolicy.
func (c *cluster) testToken() {
	own, other := c.workers[0].Name, c.workers[1].Name
	token := strings.TrimSpace(c.workers[0].Sh("cat /proc/$(pidof netmendd)/root/var/run/secrets/kubernetes.io/serviceaccount/token"))
	reports := "/apis/" + nodereport.APIVersion + "/" + nodereport.Resource
	const try = "?dryRun=All" // what is allowed is not done
	condition := func(kind, status string) object {
		return object{"status": object{"conditions": []object{{"type": kind, "status": status, "reason": "Tried"}}}}
	}
	changed := func(node string) object {
		r := decode[object](c, "get", "nnr", node)
		r["status"].(object)["critical"] = 7 // it is an object by its definition
		return r
	}
	event := object{
		"metadata": object{"name": "tried", "namespace": "default"}, "type": "Warning", "reason": "Tried", "source": object{"component": "netmend", "host": other},
		"involvedObject": object{"kind": "Node", "name": other},
	}
	for _, tt := range []struct {
		name, method, path, kind string
		body                     any
		want                     int
	}{
		{"the own report", http.MethodPut, reports + "/" + own + try, "application/json", changed(own), http.StatusOK},
		{"the own condition", http.MethodPatch, "/api/v1/nodes/" + own + "/status" + try, strategic, condition("NetworkMisconfigured", "Unknown"), http.StatusOK},
		{"the own taint", http.MethodPatch, "/api/v1/nodes/" + own + try, merge, taint("netmend.io/network-not-ready"), http.StatusOK},
		{"another's report", http.MethodPut, reports + "/" + other, "application/json", changed(other), http.StatusForbidden},
		{"another's report away", http.MethodDelete, reports + "/" + other, "application/json", nil, http.StatusForbidden},
		{"a report of no node", http.MethodPost, reports, "application/json", foreign(changed(other)), http.StatusForbidden},
		{"another's condition", http.MethodPatch, "/api/v1/nodes/" + other + "/status", strategic, condition("NetworkMisconfigured", "True"), http.StatusForbidden},
		{"the own Ready", http.MethodPatch, "/api/v1/nodes/" + own + "/status", strategic, condition("Ready", "False"), http.StatusForbidden},
		{"another's event", http.MethodPost, "/api/v1/namespaces/default/events", "application/json", event, http.StatusForbidden},
		{"another's taint", http.MethodPatch, "/api/v1/nodes/" + other, merge, taint("netmend.io/network-not-ready"), http.StatusForbidden},
		{"another taint", http.MethodPatch, "/api/v1/nodes/" + own, merge, taint("example.org/mine"), http.StatusForbidden},
		{"an own label", http.MethodPatch, "/api/v1/nodes/" + own, merge, object{"metadata": object{"labels": object{"tried": "yes"}}}, http.StatusForbidden},
		{"secrets", http.MethodGet, "/api/v1/secrets", "", nil, http.StatusForbidden},
		{"its own DaemonSet", http.MethodGet, "/apis/apps/v1/namespaces/" + namespace + "/daemonsets", "", nil, http.StatusForbidden},
		{"pods", http.MethodGet, "/api/v1/pods", "", nil, http.StatusForbidden},
	} {
		if got, answer, err := c.DoAs(token, tt.method, tt.path, tt.kind, tt.body); got != tt.want {
			c.t.Errorf("%s: %d, %v; want %d: %s", tt.name, got, err, tt.want, answer)
		}
	}
}

func taint(key string) object {
	return object{"spec": object{"taints": []object{{"key": key, "effect": "NoSchedule"}}}}
}

// foreign makes a report of a node that does not exist of another's.
func foreign(r object) object {
	r["metadata"] = object{"name": "elsewhere"}
	return r
}
