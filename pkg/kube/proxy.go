package kube

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

// proxyPod is a pod of kube-proxy.
type proxyPod struct {
	facts.ProxyPod
	node  string
	since time.Time
}

// maxReason bounds the text of why a pod is not ready.
const maxReason = 300

// isProxy says whether an object is kube-proxy's: by the label of kubeadm's DaemonSet or of the static pods that some installers write, or by its name.
func isProxy(o *object) bool {
	l := &o.Metadata.Labels
	return labelled(l.App) == "kube-proxy" || labelled(l.Component) == "kube-proxy" || o.Metadata.Namespace == "kube-system" && o.Metadata.Name == "kube-proxy"
}

// toProxyPod takes what decides from a pod; ok is false for one that is not kube-proxy's.
func toProxyPod(in *object) (p proxyPod, ok bool) {
	if !isProxy(in) {
		return p, false
	}
	p = proxyPod{node: cmp.Or(in.Spec.NodeName, in.Spec.Affinity.node())}
	p.Name, p.Phase, p.PriorityClass = in.name(), in.Status.Phase, in.Spec.PriorityClass
	for _, owner := range in.Metadata.Owners {
		if owner.Kind == kindDaemonSet {
			p.DaemonSet = in.Metadata.Namespace + "/" + owner.Name
		}
	}
	reason := join(in.Status.Reason, in.Status.Message)
	for _, c := range in.Status.Conditions {
		if c.Type == "Ready" {
			p.Ready = c.Status == "True"
			p.since, _ = time.Parse(time.RFC3339, c.Since) // zero where it says nothing
		}
		if c.Status != "True" && (c.Type == "PodScheduled" || c.Type == "Ready" && reason == "") {
			reason = join(c.Reason, c.Message)
		}
	}
	if !p.Ready {
		p.Reason = reason
	}
	return p, true
}

func join(reason, message string) string {
	text := strings.Trim(reason+": "+message, ": ")
	return strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
}

func (o *Objects) daemonSet(in *object) {
	if isProxy(in) {
		o.daemonSets = append(o.daemonSets, facts.ProxyPod{DaemonSet: in.name(), PriorityClass: in.Spec.Template.Spec.PriorityClass})
	}
}

// proxy is kube-proxy's pod on a node, with what its DaemonSet says of priority; on a node that is known but has no pod the DaemonSet alone; nil where neither
// was told.
func (o *Objects) proxy(node string, known bool, now time.Time) *facts.ProxyPod {
	i := slices.IndexFunc(o.proxies, func(p proxyPod) bool { return node != "" && p.node == node })
	if i < 0 {
		if len(o.daemonSets) == 0 || !known || !o.podsTold || slices.ContainsFunc(o.proxies, func(p proxyPod) bool { return p.node == "" }) {
			return nil
		}
		p := o.daemonSets[0]
		return &p
	}
	p := o.proxies[i].ProxyPod
	if since := o.proxies[i].since; !since.IsZero() {
		p.Age = max(0, int64(now.Sub(since).Seconds()))
	}
	for _, d := range o.daemonSets {
		if d.DaemonSet == p.DaemonSet {
			p.PriorityClass = d.PriorityClass
		}
	}
	return &p
}
