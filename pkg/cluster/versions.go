package cluster

import (
	"fmt"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/nodereport"
)

// Versions finds nodes of other versions than the rest.
var Versions = &Check{
	Name:     "cluster-versions",
	Title:    "Nodes have different versions of netmend or of the kernel",
	Since:    since,
	Severity: check.Info,
	Needs:    []Source{Reports},
	Doc: `
Worth knowing when one node behaves as no other does. Findings of an older netmend may be fewer, because it has fewer checks.

**What is judged.** The versions that nodes report. Nothing is wrong with different kernels, or with different versions of netmend while it is updated.

**Fix.** ~kubectl -n kube-system rollout status daemonset netmend~ tells whether an update is still on its way.
`,
	run: func(v *view) []Finding {
		return slices.Concat(
			v.differing("netmend", check.Info, "netmend versions", nil, func(r *nodereport.Report) string { return r.Status.Versions.Netmend }),
			v.differing("kernel", check.Info, "kernels", nil, func(r *nodereport.Report) string { return r.Status.Versions.Kernel }),
		)
	},
}

// ProxyModes finds nodes on which kube-proxy has another mode.
var ProxyModes = &Check{
	Name:     "cluster-proxy-mode",
	Title:    "kube-proxy has different modes on different nodes",
	Since:    since,
	Severity: check.Warning,
	Needs:    []Source{Reports},
	Doc: `
All nodes of a cluster take their kube-proxy's mode from one ConfigMap. A node with another mode has not taken a change, or was configured by hand; its Services behave
differently: session affinity, node ports on localhost, addresses that answer to ping, what survives a restart.

**How it is seen.** ~curl localhost:10249/proxyMode~ on the nodes has different answers.

**What is judged.** The mode that nodes report; one that has none, or where another program carries Services, is passed over.

**Fix.** ~kubectl -n kube-system rollout restart daemonset kube-proxy~ makes all nodes take the ConfigMap's mode. Rules of the old mode stay behind on those that
change: see proxy-mode-leftover.

**When it is no fault.** While a change of mode is rolled out, and where groups of nodes are meant to differ.
`,
	run: func(v *view) []Finding {
		restart := []fix.Fix{{Title: "let all nodes take the mode of kube-proxy's ConfigMap", Cost: "rules of the old mode stay until they are removed", Advice: []string{
			"kubectl -n kube-system get configmap kube-proxy -o yaml | grep 'mode:'", "kubectl -n kube-system rollout restart daemonset kube-proxy",
		}}}
		return v.differing("kube-proxy", check.Warning, "modes of kube-proxy", restart, func(r *nodereport.Report) string { return r.Status.Network.ProxyMode })
	},
}

// CNINetwork finds nodes whose container runtime uses another network.
var CNINetwork = &Check{
	Name:     "cluster-cni-network",
	Title:    "Container runtimes use different CNI networks on different nodes",
	Since:    since,
	Severity: check.Warning,
	Needs:    []Source{Reports},
	Doc: `
The container runtime takes the first configuration in ~/etc/cni/net.d~. A file that a former or a second network left on some nodes puts their pods into
another network than the rest.

**How it is seen.** Pods of these nodes have addresses of another range, and reach no pod elsewhere.

**What is judged.** The name of the network in the configuration that the runtime takes.

**Fix.** Remove the file of the network that is no longer used: see cni-leftover and cni-conf-order.

**When it is no fault.** While a cluster moves from one network to another, and where groups of nodes are meant to differ.
`,
	run: func(v *view) []Finding {
		look := []fix.Fix{{Title: "on these nodes, see which file comes first, and remove the one that is left over", Advice: []string{"ls /etc/cni/net.d", "netmendctl audit --check cni-conf-order,cni-leftover"}}}
		return v.differing("CNI", check.Warning, "CNI networks", look, func(r *nodereport.Report) string { return r.Status.Network.CNI })
	},
}

// differing finds values that not all nodes have. Nodes without a value are passed over.
func (v *view) differing(on string, severity check.Severity, what string, fixes []fix.Fix, of func(*nodereport.Report) string) []Finding {
	by := map[string][]string{}
	for _, r := range v.current {
		if value := of(r); value != "" {
			by[value] = append(by[value], r.Metadata.Name)
		}
	}
	if len(by) < 2 {
		return nil
	}
	values := sorted(by)
	slices.SortStableFunc(values, func(a, b string) int { return len(by[b]) - len(by[a]) })
	var said []string
	for _, value := range values {
		said = append(said, fmt.Sprintf("%s on %s", value, count(len(by[value]), "node", "nodes")))
	}
	f := finding(severity, on, rarest(by), "nodes have different %s: %s", what, list(said))
	for _, value := range values[:min(len(values), 10)] {
		f.prove(value, list(by[value]), "")
	}
	f.Fixes = fixes
	return []Finding{f}
}
