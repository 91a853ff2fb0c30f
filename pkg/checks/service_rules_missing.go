package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/services"
)

// youngAge is how long after its start kube-proxy may still be writing its first rules, in seconds.
const youngAge = 120

// ServiceRulesMissing finds Services that this node's kernel knows nothing of.
var ServiceRulesMissing = &check.Check{
	Name:  "service-rules-missing",
	Title: "The node has no rules for Services that every pod needs",
	Since: "v0.1.0",
	Doc: markdown(`
A Service's virtual IP exists in no interface of the cluster. It works on a node because kube-proxy has written rules there. Two Services must
work everywhere: the API server's (default/kubernetes) and the cluster's DNS (kube-system/kube-dns).

**What breaks.** Where the rules are missing, packets to the virtual IP leave the node by its default route and are lost. Pods that land there
cannot resolve names and cannot reach the API; what does not need Services works, so the node looks healthy and the scheduler keeps sending
pods.

**How it is seen.** Names do not resolve on some nodes only, mostly those that joined last. ~kubectl get pod -n kube-system -o wide~ shows
kube-proxy Pending, evicted or restarting there. A typical cause is a kube-proxy without the priority class ~system-node-critical~, which finds
no room on a full new node.

**What is looked up**, in the mode in which kube-proxy runs:

- iptables: the chain ~KUBE-SVC-...~, whose name is a hash of the Service's name (pkg/proxy/iptables, ~servicePortPolicyClusterChain~)
- nftables: the element of the map ~service-ips~ in table ~ip kube-proxy~
- ipvs: the address, local on kube-ipvs0, and the virtual server with a destination that has weight

Where the cluster's Services are known (~--services FILE~, or the API server), all of them are looked for and not only these two: each must have rules
that lead to a backend, if it has endpoints.

A Service that is there without endpoints rejects its connections: that is the cluster's fault, not this node's, and is a warning. The names of
the DNS Service are customary, not certain: where only such a guess is missing, and the API server's Service is there, it is only worth knowing.

**Fix.** Let kube-proxy run: netmend does not write its rules. Give its DaemonSet the priority class, look at its log, and keep pods off the
node until the rules are there (cordon it; uncordon is the undo).

**When it is no fault.** kube-proxy or kubelet began less than two minutes ago, and kube-proxy does not say that it has written its first rules; another program carries Services (Cilium, kube-router, Calico's
eBPF data plane, OVN-Kubernetes, Antrea), also under k3s and MicroK8s, whose one process is called kube-proxy even where that is switched off;
the machine is no Kubernetes node; the DNS address is one that a program on the node listens at (NodeLocal DNSCache).
`),
	Needs:         []facts.Kind{facts.KindServiceVIPs, facts.KindProxy},
	Wants:         []facts.Kind{facts.KindAgents, facts.KindLinks, facts.KindAddresses, facts.KindServices, facts.KindServiceRules},
	Severity:      check.Critical,
	NotApplicable: servicesElsewhere,
	Run:           runServiceRulesMissing,
}

// servicesElsewhere says why this node need not have kube-proxy's rules, or not yet.
func servicesElsewhere(s *facts.Snapshot) string {
	p := s.Proxy
	if p == nil {
		p = &facts.Proxy{}
	}
	running := agentAge(s, "kube-proxy")
	switch {
	case p.Replaced != "":
		return p.Replaced + " carries Services here"
	case p.Mode == "" && running == nil && !s.Node.Kubelet:
		return "neither kubelet nor kube-proxy is on this node"
	}
	if why := rulesPending(s, p); why != "" {
		return why
	}
	if p.Mode == "" && (running == nil || embeddedProxy(s)) {
		for _, other := range [][2]string{
			{"cilium_host", "Cilium"}, {"bpfin.cali", "Calico's eBPF data plane"}, {"ovn-k8s-mp0", "OVN-Kubernetes"}, {"antrea-gw0", "Antrea"},
			{"kube-bridge", "kube-router"},
		} {
			if s.Host.LinkNamed(other[0]) != nil {
				return "nothing of kube-proxy is here, and " + other[1] + " (" + other[0] + ") can carry Services"
			}
		}
		if running != nil {
			return "kube-proxy is a part of kubelet's program here and has left nothing in the kernel: it can be switched off"
		}
	}
	return ""
}

// embeddedProxy tells programs that are kubelet and kube-proxy in one process (k3s, MicroK8s): that it runs does not say whether its kube-proxy does.
func embeddedProxy(s *facts.Snapshot) bool {
	return slices.ContainsFunc(s.Agents, func(proxy facts.Agent) bool {
		return proxy.Name == "kube-proxy" && slices.ContainsFunc(s.Agents, func(a facts.Agent) bool { return a.Name == "kubelet" && a.PID == proxy.PID })
	})
}

// agentAge is the age of the oldest process of that name, in seconds; nil where none runs or they were not read.
func agentAge(s *facts.Snapshot, name string) (age *int64) {
	for i := range s.Agents {
		if a := &s.Agents[i]; a.Name == name && (age == nil || a.Age > *age) {
			age = &a.Age
		}
	}
	return age
}

func runServiceRulesMissing(s *facts.Snapshot) []check.Finding {
	if list, _, ok := truth(s); ok {
		return missingByTruth(s, list)
	}
	return missingByLookUp(s)
}

// missingByLookUp tells of the Services that every pod needs.
func missingByLookUp(s *facts.Snapshot) []check.Finding {
	var missing, rejecting []facts.ServiceVIP
	apiServer := false
	for _, v := range s.ServiceVIPs {
		switch {
		case !canLookUp(s, v):
		case !v.Found:
			missing = append(missing, v)
		case v.NoEndpoints:
			rejecting = append(rejecting, v)
		}
		apiServer = apiServer || v.Found && isAPIServer(v)
	}
	on := facts.Ref{NetNS: s.Host.Inode, Name: "kube-proxy"}
	var out []check.Finding
	if len(missing) > 0 {
		f := check.Finding{Severity: check.Critical, On: on, Message: "this node has no rules for " + serviceNames(missing) + ": pods here cannot use them"}
		if apiServer && !slices.ContainsFunc(missing, func(v facts.ServiceVIP) bool { return v.Source != "default" }) {
			f.Severity = check.Info
			f.Message = "this node has no rules for " + serviceNames(missing) + ", which may have another name in this cluster"
		}
		for _, v := range missing {
			f.Evidence = append(f.Evidence, check.Evidence{Fact: describeService(v), Got: detail(v, "not found"), Want: "present"})
		}
		f.Evidence = append(f.Evidence, proxyEvidence(s)...)
		if f.Severity > check.Info {
			f.Fixes = []fix.Fix{startKubeProxy(s)}
		}
		out = append(out, f)
	}
	if len(rejecting) > 0 {
		f := check.Finding{Severity: check.Warning, On: on, Message: "connections to " + serviceNames(rejecting) + " are rejected: no endpoints"}
		var advice []string
		for _, v := range rejecting {
			f.Evidence = append(f.Evidence, check.Evidence{Fact: describeService(v), Got: detail(v, "no endpoints"), Want: "at least one endpoint"})
			namespace, rest, _ := strings.Cut(v.Name, "/")
			name, _, _ := strings.Cut(rest, ":")
			line := fix.Shell(nil, "kubectl", "-n", namespace, "get", "endpointslices", "-l", "kubernetes.io/service-name="+name)
			if !slices.Contains(advice, line) {
				advice = append(advice, line)
			}
		}
		f.Fixes = []fix.Fix{{Title: "find out why the Service has no ready pod", Advice: advice}}
		out = append(out, f)
	}
	return out
}

// missingByTruth tells of all Services with endpoints that nothing carries: one cause, one finding.
func missingByTruth(s *facts.Snapshot, list []services.Difference) []check.Finding {
	var names []string
	var evidence []check.Evidence
	for i := range list {
		d := &list[i]
		if !notCarried(d) {
			continue
		}
		names = append(names, cmp.Or(serviceOf(d.Want), frontend(d.Want)))
		got := "no rules"
		if d.Held != nil {
			got = "rules that lead nowhere: " + cmp.Or(strings.Join(d.Held.Broken, ", "), "no backend")
		}
		evidence = append(evidence, check.Evidence{Fact: d.Want.Name + " at " + frontend(d.Want), Got: got, Want: outcome(d.Want)})
	}
	certain := lookedUp(s)
	if len(names) == 0 {
		return certain
	}
	slices.Sort(names)
	f := check.Finding{
		ByTruth: true, Severity: check.Critical, On: facts.Ref{NetNS: s.Host.Inode, Name: "kube-proxy"}, Fixes: []fix.Fix{startKubeProxy(s)},
		Message: "this node has no rules for " + someNames(names) + ": pods here cannot use them",
	}
	const most = 12
	f.Evidence = evidence[:min(len(evidence), most)]
	if more := len(evidence) - most; more > 0 {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "more without rules", Got: fmt.Sprint(more)})
	}
	f.Evidence = append(append(f.Evidence, truthEvidence(s)), proxyEvidence(s)...)
	f.ByTruth = len(certain) == 0
	return []check.Finding{f}
}

// lookedUp tells of needed Services of which the API server told and that were looked up by themselves, perhaps later than all rules were read.
func lookedUp(s *facts.Snapshot) []check.Finding {
	only := *s
	only.ServiceVIPs = slices.DeleteFunc(slices.Clone(s.ServiceVIPs), func(v facts.ServiceVIP) bool {
		service, _, _ := strings.Cut(v.Name, ":")
		return v.Source != facts.SourceAPI || v.Found || justChanged(s, service)
	})
	return missingByLookUp(&only)
}

// canLookUp leaves out what cannot be looked up without its address, and addresses that need no rules, because a program on the node listens there:
// NodeLocal DNSCache and other resolvers of the node's own.
func canLookUp(s *facts.Snapshot, v facts.ServiceVIP) bool {
	if !v.VIP.IsValid() {
		return v.Mode != facts.ModeIPVS
	}
	return !v.VIP.IsLinkLocalUnicast() && !slices.ContainsFunc(s.Host.Addresses, func(a facts.Address) bool {
		return a.Prefix.Addr() == v.VIP && linkName(&s.Host, a.Link) != "kube-ipvs0"
	})
}

func isAPIServer(v facts.ServiceVIP) bool { return strings.HasPrefix(v.Name, "default/kubernetes:") }

// serviceNames lists the Services, each once without its ports.
func serviceNames(vips []facts.ServiceVIP) string {
	var names []string
	for _, v := range vips {
		name, _, _ := strings.Cut(v.Name, ":")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " and ")
}

func describeService(v facts.ServiceVIP) string {
	text := v.Name
	if v.VIP.IsValid() {
		text += fmt.Sprintf(" at %s %d/%s", v.VIP, v.Port, v.Protocol)
	}
	return text
}

func detail(v facts.ServiceVIP, what string) string {
	if v.Detail == "" {
		return what
	}
	return what + ": " + v.Detail
}

func proxyEvidence(s *facts.Snapshot) []check.Evidence {
	p := s.Proxy
	if p == nil || p.Mode == "" {
		return []check.Evidence{{Fact: "kube-proxy", Got: "nothing of it on this node", Want: "running"}}
	}
	got := p.Mode + " mode"
	if p.Source != "" {
		got += ", by " + p.Source
	}
	if p.Age > 0 {
		got += fmt.Sprintf(", running for %d s", p.Age)
	}
	return []check.Evidence{{Fact: "kube-proxy", Got: got}}
}

func startKubeProxy(s *facts.Snapshot) fix.Fix {
	return fix.Fix{
		Title: "let kube-proxy run on this node and write its rules",
		Cost:  "a pod of low priority may be evicted to make room for kube-proxy",
		Advice: []string{
			fix.Shell(nil, "kubectl", "cordon", nodeName(s)) + "  # until it is mended",
			showProxyPod(s),
			"kubectl -n kube-system logs THAT-POD  # what it could not do",
			"curl -s 127.0.0.1:10256/livez; curl -s 127.0.0.1:10249/proxyMode  # on the node",
			`kubectl -n kube-system patch daemonset kube-proxy --type merge -p '{"spec":{"template":{"spec":{"priorityClassName":"system-node-critical"}}}}'  # if it is Pending`,
		},
	}
}
