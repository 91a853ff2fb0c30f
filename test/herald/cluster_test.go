package herald

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/test/e2e/lab"
)

type object = map[string]any

const (
	patience = time.Minute
	taintKey = "netmend.io/network-not-ready"
)

// cluster is a control plane that knows what netmend writes.
type cluster struct {
	*lab.Cluster
	t *testing.T
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{lab.NewCluster(t), t}
	c.KnowReports()
	rule := func(group string, resources, verbs []string) object {
		return object{"apiGroups": []string{group}, "resources": resources, "verbs": verbs}
	}
	c.do(http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/clusterroles", object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": object{"name": "netmendd"}, "rules": []object{
			rule("", []string{"nodes"}, []string{"get", "list", "patch"}), rule("", []string{"nodes/status"}, []string{"patch"}), rule("", []string{"events"}, []string{"create", "patch"}),
			rule(nodereport.Group, []string{nodereport.Resource}, []string{"get", "list", "create", "update", "delete"}),
		},
	})
	c.do(http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": "netmendd"},
		"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "netmendd"},
		"subjects": []object{{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": account}},
	})
	return c
}

func (c *cluster) do(method, path string, body any) []byte {
	c.t.Helper()
	text, err := c.Do(method, path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

// kubelet is what kubelet says of a node.
func kubelet(ready string) []object {
	at := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	var out []object
	for _, kind := range []string{"MemoryPressure", "Ready"} {
		status := "False"
		if kind == "Ready" {
			status = ready
		}
		out = append(out, object{"type": kind, "status": status, "reason": "Kubelet", "message": "by kubelet", "lastHeartbeatTime": at, "lastTransitionTime": at})
	}
	return out
}

// node makes a Node with what kubelet says of it, and these taints.
func (c *cluster) node(name string, taints ...string) {
	c.t.Helper()
	var list []object
	for _, key := range taints {
		list = append(list, object{"key": key, "effect": "NoSchedule", "value": map[bool]string{true: "theirs"}[key != taintKey]})
	}
	c.do(http.MethodPost, "/api/v1/nodes", object{
		"apiVersion": "v1", "kind": "Node", "metadata": object{"name": name}, "spec": object{"taints": list}, "status": object{"conditions": kubelet("True")},
	})
}

// nodeObject is what the test looks at of a Node.
type nodeObject struct {
	Metadata struct {
		UID string `json:"uid"`
	} `json:"metadata"`
	Spec struct {
		Taints []struct {
			Key   string `json:"key"`
			Value string `json:"value"`
		} `json:"taints"`
	} `json:"spec"`
	Status struct {
		Conditions []condition `json:"conditions"`
	} `json:"status"`
}

type condition struct {
	Type, Status, Reason, Message         string
	LastHeartbeatTime, LastTransitionTime time.Time
}

func (c *cluster) getNode(name string) (n nodeObject) {
	c.t.Helper()
	if err := json.Unmarshal(c.do(http.MethodGet, "/api/v1/nodes/"+name, nil), &n); err != nil {
		c.t.Fatal(err)
	}
	return n
}

// condition is netmend's; the zero condition where there is none.
func (n *nodeObject) condition() condition {
	for _, k := range n.Status.Conditions {
		if k.Type == "NetworkMisconfigured" {
			return k
		}
	}
	return condition{}
}

// theirs are the conditions that are kubelet's, as text.
func (n *nodeObject) theirs() string {
	k := slices.DeleteFunc(slices.Clone(n.Status.Conditions), func(k condition) bool { return k.Type == "NetworkMisconfigured" })
	text, _ := json.Marshal(k) // it has nothing that cannot be encoded
	return string(text)
}

func (n *nodeObject) taints() string {
	var out []string
	for _, t := range n.Spec.Taints {
		out = append(out, t.Key+"="+t.Value)
	}
	return strings.Join(out, " ")
}

// report gives a node's report; ok is false where there is none.
func (c *cluster) report(name string) (r nodereport.Report, ok bool) {
	c.t.Helper()
	text, err := c.Do(http.MethodGet, "/apis/"+nodereport.APIVersion+"/"+nodereport.Resource+"/"+name, nil)
	if err != nil {
		return r, false
	}
	if err := json.Unmarshal(text, &r); err != nil {
		c.t.Fatal(err)
	}
	return r, true
}

type event struct {
	Reason, Message, Type string
	Count                 int
	InvolvedObject        struct{ Kind, Namespace, Name, UID string }
}

// events are those that kubectl describe would show of an object: it asks by its uid, too (searchEvents of k8s.io/kubectl/pkg/describe).
func (c *cluster) events(namespace, kind, name, uid string) []event {
	c.t.Helper()
	path := "/api/v1/events"
	if namespace != "" {
		path = "/api/v1/namespaces/" + namespace + "/events"
	}
	var list struct{ Items []event }
	text := c.do(http.MethodGet, path+"?fieldSelector=involvedObject.kind="+kind+",involvedObject.name="+name+",involvedObject.uid="+uid, nil)
	if err := json.Unmarshal(text, &list); err != nil {
		c.t.Fatal(err)
	}
	slices.SortFunc(list.Items, func(a, b event) int { return strings.Compare(a.Reason+a.Message, b.Reason+b.Message) })
	return list.Items
}

func (c *cluster) nodeEvents(name string) []event {
	return c.events("", "Node", name, c.getNode(name).Metadata.UID)
}
