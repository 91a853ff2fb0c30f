package cluster

import (
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/fix"
)

// NotReported finds nodes of which nothing is known.
var NotReported = &Check{
	Name:     "cluster-not-reported",
	Title:    "Nodes have no report, or one that is not about the node as it is",
	Since:    since,
	Severity: check.Warning,
	Needs:    []Source{Reports, Nodes},
	Doc: `
A node that says nothing is not healthy: it is unknown. What the other checks say leaves it out.

**What is judged.**

- a Linux node that is older than five minutes has no report: a warning
- a report cannot be read, or is larger than a node may write: a warning
- a report is out of date: its node is not ready, has started with another kernel since, was made anew under the same name, or its daemon was stopped: a
  warning. A report is written when something changes, so that its age alone says nothing.
- a report has no node: info

**Fix.** ~kubectl -n kube-system get pods -o wide -l app.kubernetes.io/name=netmend~ shows whether netmend runs on the node, and its logs why it does not write.

**When it is no fault.** Nodes on which netmend is not meant to run, such as virtual ones.
`,
	run: runNotReported,
}

func runNotReported(v *view) (out []Finding) {
	logs := func(node string) []fix.Fix {
		return []fix.Fix{{Title: "see whether netmend runs there, and what it says", Advice: []string{
			"kubectl get pods -A -o wide -l app.kubernetes.io/name=netmend --field-selector spec.nodeName=" + word(node),
			"kubectl describe node " + word(node),
		}}}
	}
	if silent := v.silent(); len(silent) > 0 {
		f := finding(check.Warning, several(silent), silent, "nothing is known of the network of %s: netmend has written no report there", list(silent))
		f.prove("reports", count(len(v.reports), "node", "nodes"), count(len(v.nodes), "node", "nodes"))
		f.Fixes = logs(silent[0])
		out = append(out, f)
	}
	if broken := sorted(v.in.Broken); len(broken) > 0 {
		f := finding(check.Warning, several(broken), broken, "the report of %s cannot be read", list(broken))
		for _, name := range broken[:min(len(broken), named)] {
			f.prove("report of "+name, v.in.Broken[name], "what this version of netmend writes")
		}
		f.Fixes = []fix.Fix{{Title: "let the daemon write it anew", Advice: []string{"kubectl delete nodenetworkreport " + word(broken[0])}}}
		out = append(out, f)
	}
	why := map[string][]string{}
	for _, name := range sorted(v.stale) {
		reason := v.stale[name]
		why[reason] = append(why[reason], name)
	}
	for _, reason := range sorted(why) {
		nodes := why[reason]
		severity, fixes := check.Warning, logs(nodes[0])
		if !slices.ContainsFunc(nodes, func(n string) bool { return v.nodes[n] != nil }) {
			severity = check.Info
			fixes = []fix.Fix{{Title: "remove the report, which Kubernetes does by itself where it is owned by its Node", Advice: []string{"kubectl delete nodenetworkreport " + word(nodes[0])}}}
		}
		f := finding(severity, several(nodes), nodes, "the report of %s is out of date: %s", list(nodes), reason)
		f.Fixes = fixes
		out = append(out, f)
	}
	return out
}

// several names one node, or says how many.
func several(nodes []string) string {
	if len(nodes) == 1 {
		return nodes[0]
	}
	return count(len(nodes), "node", "nodes")
}
