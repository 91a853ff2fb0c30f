package checks

import (
	"cmp"
	"fmt"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// KubeProxyNotReady finds a node on which kube-proxy does not run, does not keep up, or may be pushed off.
var KubeProxyNotReady = &check.Check{
	Name:  "kube-proxy-not-ready",
	Title: "No kube-proxy runs on this node, or it does not keep up",
	Since: "v0.1.0",
	Doc: markdown(`
kube-proxy writes the rules of Services on each node. When it stops, the rules stay as they are: for a while everything works, and then less and
less, with each pod that is replaced. Where it never ran, no Service works at all.

**What breaks.** New Services do not work on this node, old ones keep backends that are gone. On a node that has just joined, pods start and cannot
resolve a name.

**How it is seen.** ~kubectl -n kube-system get pod -o wide -l k8s-app=kube-proxy~ shows the pod Pending, restarting, or none for this node; nothing
listens on port 10256. A typical cause is a kube-proxy without the priority class ~system-node-critical~: on a full node it is evicted, or finds no
room when the node joins.

**What is judged.**

- kubelet runs here and no kube-proxy does, though its rules, or its pod by the API, show that it should: critical
- by the API its pod is Pending, or not Ready for more than a minute, or its DaemonSet has no pod for this node: critical
- ~/livez~ says that a sync has been waiting for twice the sync period (pkg/proxy/healthcheck/proxy_health.go): critical. ~/healthz~ is not asked,
  since it also fails while the cluster autoscaler drains the node.
- it runs, but its DaemonSet's pods have no priority class that keeps them on the node: a warning, before it hurts. kubeadm gives it
  ~system-node-critical~ (cmd/kubeadm/app/phases/addons/proxy).

**Fix.** Give the DaemonSet the priority class and let it run; keep pods off the node until then (cordon; uncordon is the undo). netmend does not do it:
it is the cluster's configuration, and a pod of low priority may have to go.

**When it is no fault.** Another program carries Services; kubelet or kube-proxy began less than two minutes ago; the node's processes cannot be
seen, as from a container without the host's process namespace; the machine is no Kubernetes node.
`),
	Needs:         []facts.Kind{facts.KindProxy, facts.KindAgents},
	Wants:         []facts.Kind{facts.KindLinks, facts.KindServices},
	Severity:      check.Critical,
	Settle:        time.Minute,
	NotApplicable: servicesElsewhere,
	Run:           runKubeProxyNotReady,
}

func runKubeProxyNotReady(s *facts.Snapshot) []check.Finding {
	if s.Proxy == nil {
		return nil
	}
	f := check.Finding{Severity: check.Critical, On: facts.Ref{NetNS: s.Host.Inode, Name: "kube-proxy"}, Fixes: []fix.Fix{startKubeProxy(s)}}
	pod := proxyPod(s)
	if pod != nil {
		f.Evidence = podEvidence(pod)
	}
	state := s.Proxy.State
	switch {
	case pod != nil && pod.Name == "":
		f.ByTruth, f.Message = true, "the DaemonSet "+pod.DaemonSet+" has no pod on this node"
	case pod != nil && pod.Phase != "Running":
		f.ByTruth, f.Message = true, fmt.Sprintf("%s is %s on this node", pod.Name, cmp.Or(pod.Phase, "not running"))
	case pod != nil && !pod.Ready && pod.Age > 60:
		f.ByTruth, f.Message = true, fmt.Sprintf("%s has not been ready for %d s", pod.Name, pod.Age)
	case stopped(s):
		f.Message = "kubelet runs on this node and kube-proxy does not: Services stay as they are"
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "process kube-proxy", Got: "none", Want: "running"})
	case state != nil && state.Live != nil && !*state.Live:
		f.Message = "kube-proxy does not keep up: a change has been waiting to be written for longer than two sync periods"
		f.Fixes = []fix.Fix{syncKubeProxy(s)}
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "kube-proxy's /livez", Got: "unhealthy", Want: "healthy"})
		if state.Queued > 0 {
			f.Evidence = append(f.Evidence, check.Evidence{Fact: "sync queued", Got: fmt.Sprintf("%d s ago", state.Queued)})
		}
	case pod != nil && pod.DaemonSet != "" && pod.PriorityClass != "system-node-critical" && pod.PriorityClass != "system-cluster-critical":
		f.Severity = check.Warning
		f.Message = fmt.Sprintf("kube-proxy's pods have priority class %q: on a full node they are evicted, or find no room", pod.PriorityClass)
		f.Fixes = []fix.Fix{{
			Title: "give kube-proxy the priority that keeps it on the node", Cost: "its pods are replaced one by one; rules stay meanwhile",
			Advice: []string{`kubectl -n kube-system patch daemonset kube-proxy --type merge -p '{"spec":{"template":{"spec":{"priorityClassName":"system-node-critical"}}}}'`},
		}}
	default:
		return nil
	}
	if state != nil && state.Refused {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "kube-proxy's health port", Got: "connection refused", Want: "an answer"})
	}
	f.Evidence = append(f.Evidence, proxyEvidence(s)...)
	return []check.Finding{f}
}

// proxyPod is kube-proxy's pod, as long as what was told of it is not old.
func proxyPod(s *facts.Snapshot) *facts.ProxyPod {
	c := s.Intent.Cluster
	if c == nil || !s.Has(facts.KindServices) || tooOld(c) != "" {
		return nil
	}
	return c.Proxy
}

func podEvidence(p *facts.ProxyPod) []check.Evidence {
	if p.Name == "" {
		return []check.Evidence{{Fact: "pod of " + p.DaemonSet, Got: "none", Want: "one on this node"}}
	}
	got := cmp.Or(p.Phase, "unknown")
	if p.Phase == "Running" && !p.Ready {
		got = "Running, not Ready"
	}
	if p.Reason != "" {
		got += ": " + p.Reason
	}
	return []check.Evidence{
		{Fact: "pod " + p.Name, Got: got, Want: "Running and Ready"}, {Fact: "priority class of " + cmp.Or(p.DaemonSet, p.Name), Got: cmp.Or(p.PriorityClass, "none"), Want: "system-node-critical"},
	}
}

// stopped says whether kube-proxy should run here and does not. That kubelet is seen proves that processes can be.
func stopped(s *facts.Snapshot) bool {
	kubelet := agentAge(s, "kubelet")
	return kubelet != nil && *kubelet >= youngAge && agentAge(s, "kube-proxy") == nil && s.Proxy.Mode != "" && (s.Proxy.State == nil || s.Proxy.State.Live == nil)
}
