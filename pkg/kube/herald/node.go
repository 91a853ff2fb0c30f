package herald

import (
	"context"
	"encoding/json"
	"net/url"
	"time"

	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/nodereport"
)

// The names that are in the cluster's Node objects. They are permanent.
const (
	ConditionType = "NetworkMisconfigured"
	TaintKey      = "netmend.io/network-not-ready"
	taintEffect   = "NoSchedule"
)

// nodeObject is what of a Node is read.
type nodeObject struct {
	Metadata struct {
		Name            string `json:"name"`
		UID             string `json:"uid"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Spec struct {
		Unschedulable bool              `json:"unschedulable"`
		Taints        []json.RawMessage `json:"taints"` // those of others are written back as they were
	} `json:"spec"`
	Status struct {
		Conditions []nodeCondition `json:"conditions"`
	} `json:"status"`
}

// nodeCondition is one condition of a Node.
type nodeCondition struct {
	Type       string    `json:"type"`
	Status     string    `json:"status"`
	Heartbeat  time.Time `json:"lastHeartbeatTime"`
	Transition time.Time `json:"lastTransitionTime"`
	Reason     string    `json:"reason"`
	Message    string    `json:"message"`
}

const nodesPath = "/api/v1/nodes"

func nodePath(name string) string { return nodesPath + "/" + name }

func reportPath(name string) string {
	path := "/apis/" + nodereport.APIVersion + "/" + nodereport.Resource
	if name != "" {
		path += "/" + name
	}
	return path
}

// cached lets the API server answer from its memory.
func cached() url.Values { return url.Values{"resourceVersion": {"0"}} }

// find gives a condition; nil where the Node has none of that type.
func (n *nodeObject) find(kind string) *nodeCondition {
	for i := range n.Status.Conditions {
		if n.Status.Conditions[i].Type == kind {
			return &n.Status.Conditions[i]
		}
	}
	return nil
}

// isOurs says whether a taint is the startup taint.
func isOurs(taint json.RawMessage) bool {
	var t struct {
		Key string `json:"key"`
	}
	return json.Unmarshal(taint, &t) == nil && t.Key == TaintKey
}

func (n *nodeObject) tainted() bool {
	for _, t := range n.Spec.Taints {
		if isOurs(t) {
			return true
		}
	}
	return false
}

// object is the Node as an Event names it.
func (n *nodeObject) object() involved {
	return involved{APIVersion: "v1", Kind: "Node", Name: n.Metadata.Name, UID: n.Metadata.UID}
}

// look reads the Node, and the report that is there, from time to time: others may have changed them, or taken them away.
func (h *Herald) look(ctx context.Context, v *view) error {
	if h.now.Before(h.lookAt) {
		h.sooner(h.lookAt)
		return nil
	}
	var n nodeObject
	if err := h.o.Client.Get(ctx, nodePath(h.o.Node), cached(), &n); err != nil {
		return err
	}
	h.node = n
	if v.say.Report {
		if err := h.lookAtReport(ctx); err != nil && !kube.Refused(err) {
			return err
		}
	}
	if !h.recalled && v.say.Report {
		h.recall(v)
	}
	h.recalled = true
	h.lookAt = h.now.Add(h.pace.Look)
	h.sooner(h.lookAt)
	return nil
}

// recall takes up what an earlier process has told, so that nothing of it is told again.
func (h *Herald) recall(v *view) {
	was := h.report.there
	if was == nil {
		return
	}
	h.said, h.findings = &was.Status, was.Status.Findings
	h.events.baseline = true
	h.memory.Recall(&was.Status, v.doc.At)
	v.make(&h.memory)
}
