package cluster

import (
	"cmp"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/fix"
)

// KubeProxyMissing finds nodes without kube-proxy, in a cluster that uses it.
var KubeProxyMissing = &Check{
	Name:     "cluster-kube-proxy",
	Title:    "kube-proxy is missing on nodes, or may be pushed off them",
	Since:    since,
	Severity: check.Critical,
	Needs:    []Source{Nodes, Proxy},
	notApplicable: func(v *view) string {
		p := &v.in.Proxy
		if len(p.Pods) == 0 && !slices.ContainsFunc(p.DaemonSets, func(d DaemonSet) bool { return d.Desired > 0 }) {
			return "no kube-proxy runs as pods: another program carries Services, or kube-proxy is part of one"
		}
		return ""
	},
	Doc: `
Without kube-proxy a node's rules of Services stay as they are, and with each pod that is replaced less works; on a node that has just joined no Service works at
all. kube-proxy-not-ready tells it from within the node; this check tells it also of nodes where nobody looks.

**How it is seen.** ~kubectl -n kube-system get pods -o wide -l k8s-app=kube-proxy~ has no pod for a node, or one that is Pending or not Ready.

**What is judged.**

- kube-proxy's pod for a node is Pending, Failed or not Ready for more than a minute, and the node is ready: critical
- the DaemonSet wants a pod on more nodes than have one, and a node has none: critical
- kube-proxy runs as static pods, on most nodes but not on one: a warning
- the DaemonSet's priority class is not ~system-node-critical~: a warning, before a full node evicts it. kubeadm gives it
  (cmd/kubeadm/app/phases/addons/proxy).

**Fix.** Give the DaemonSet the priority class, and see why its pod does not run.

**When it is no fault.** No DaemonSet of kube-proxy, or one that wants no pods, means that another program (Cilium, Antrea, k3s itself) carries Services. Nodes
that the DaemonSet leaves out by a selector are those that it does not count; nodes that are not ready or have just joined, and those of other systems than
Linux, are passed over.
`,
	run: runKubeProxy,
}

// settled is how long a pod may take to become ready.
const settled = time.Minute

func runKubeProxy(v *view) (out []Finding) {
	for _, d := range v.in.Proxy.DaemonSets {
		if d.Desired > 0 && d.PriorityClass != "system-node-critical" {
			out = append(out, withoutPriority(d))
		}
	}
	pods := map[string]*ProxyPod{}
	static := 0
	for i := range v.in.Proxy.Pods {
		p := &v.in.Proxy.Pods[i]
		if p.Node == "" {
			continue
		}
		if p.Owner == "" {
			static++
		}
		if old := pods[p.Node]; old == nil || p.Ready && !old.Ready {
			pods[p.Node] = p
		}
	}
	var absent []string
	for _, name := range sorted(v.nodes) {
		n := v.nodes[name]
		p := pods[name]
		switch {
		case !n.Ready || n.OS != "" && n.OS != "linux" || v.in.Now.Sub(n.Created) < newNode:
		case p == nil:
			absent = append(absent, name)
		case !p.Ready && !p.Since.IsZero() && v.in.Now.Sub(p.Since) >= settled:
			out = append(out, notReady(name, p))
		}
	}
	return append(out, v.absent(absent, pods, static)...)
}

func withoutPriority(d DaemonSet) Finding {
	namespace, name := split(d.Name)
	f := finding(check.Warning, d.Name, nil, "DaemonSet %s does not have the priority class system-node-critical: a full node evicts kube-proxy, or has no room for it when it joins", d.Name)
	f.prove("priorityClassName of "+d.Name, cmp.Or(d.PriorityClass, "none"), "system-node-critical")
	f.Fixes = []fix.Fix{{Title: "give the DaemonSet the priority class", Cost: "kube-proxy restarts on one node after the other; rules stay in place meanwhile", Advice: []string{
		"kubectl -n " + word(namespace) + " patch daemonset " + word(name) + ` -p '{"spec":{"template":{"spec":{"priorityClassName":"system-node-critical"}}}}'`,
	}}}
	return f
}

func split(name string) (namespace, rest string) {
	for i := range name {
		if name[i] == '/' {
			return name[:i], name[i+1:]
		}
	}
	return "kube-system", name
}

func notReady(node string, p *ProxyPod) Finding {
	namespace, name := split(p.Name)
	f := finding(check.Critical, node, []string{node}, "kube-proxy of %s is not ready: rules of Services there are not kept up", node)
	f.prove("pod "+p.Name, cmp.Or(p.Phase, "unknown phase")+", not ready since "+p.Since.UTC().Format(time.RFC3339), "Running and Ready")
	if p.Reason != "" {
		f.prove("reason", p.Reason, "")
	}
	f.Fixes = []fix.Fix{{Title: "see why it does not run", Advice: []string{
		"kubectl -n " + word(namespace) + " describe pod " + word(name), "kubectl -n " + word(namespace) + " logs " + word(name) + " --previous",
	}}}
	return f
}

// absent judges nodes that have no pod of kube-proxy.
func (v *view) absent(nodes []string, pods map[string]*ProxyPod, static int) []Finding {
	desired, owned := 0, 0
	for _, d := range v.in.Proxy.DaemonSets {
		desired += d.Desired
	}
	for _, p := range pods {
		if p.Owner != "" {
			owned++
		}
	}
	severity := check.Critical
	switch {
	case len(nodes) == 0:
		return nil
	case desired > owned:
	case desired == 0 && static > 2*len(nodes):
		severity = check.Warning
	default:
		return nil // it is not wanted there
	}
	on := nodes[0]
	if len(nodes) > 1 {
		on = count(len(nodes), "node", "nodes")
	}
	f := finding(severity, on, nodes, "no pod of kube-proxy is on %s: Services there do not follow what the cluster wants", list(nodes))
	if desired > 0 {
		f.prove("nodes that kube-proxy's DaemonSet wants a pod on", count(desired, "node", "nodes"), "")
		f.prove("nodes with its pod", count(owned, "node", "nodes"), count(desired, "node", "nodes"))
	} else {
		f.prove("static pods of kube-proxy", count(static, "node", "nodes"), count(static+len(nodes), "node", "nodes"))
	}
	f.Fixes = []fix.Fix{{Title: "see why no pod is made", Advice: []string{"kubectl -n kube-system describe daemonset kube-proxy", "kubectl -n kube-system get events --field-selector involvedObject.name=kube-proxy"}}}
	return []Finding{f}
}
