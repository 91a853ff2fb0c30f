package checks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// CNILeftover finds what a pod network that no longer runs has left in the kernel.
var CNILeftover = &check.Check{
	Name:  "cni-leftover",
	Title: "A pod network that no longer runs has left devices or rules",
	Since: "v0.1.0",
	Doc: markdown(`
~kubeadm reset~ and the removal of a DaemonSet leave a network's devices, routes, firewall chains and files in place (the reset says so itself).
On a machine that is used again with another network they steal packets: a route to a device that nobody serves, a masquerading rule that hides
the client.

**How it is seen.** Pods reach some nodes and not others, though everything of the running network is right; network policies see wrong sources;
~ip link~ shows ~cali*~ or ~vxlan.calico~ on a flannel node, or the reverse. Two networks that use the same UDP port keep each other from
starting.

**Whose is it?** Devices and chains are told by names that only antrea, calico, cilium, flannel, kube-router or weave use. A network is **in
use** where its agent runs on the node or the CNI configuration that the runtime reads first names its plugin or its bridge. Only what belongs
to a network that is not in use is reported, and only where another one is known to be: so not on a node without CNI configuration, not with
Multus and its like, and not in the first ten minutes of a kubelet, when agents may still be starting. A second configuration file does not
count as use. ~cni0~ counts as left when no link is attached to it and the running configuration has another plugin. ~tunl0~ exists in every
namespace once the module ipip is loaded; it counts, with an address or routes, only beside other traces of Calico.

It is critical where a route over such a device is the one that the kernel would take to the cluster's pods, or where its masquerading rules,
reached from POSTROUTING, name them. Devices and chains that packets can reach are a warning; chains that nothing jumps to are only worth
knowing.

**Fix.** For a person: drain the node, move the old configuration file away, reboot, uncordon. A reboot removes everything in the kernel at once
and in the right order. Without one, delete the devices and the chains with the commands printed; links of pods that still run are not among
them, such pods are to be deleted. There is no undo but installing the network again.

**When it is no fault.** While networks are exchanged node by node both agents run, and neither is reported. ~docker0~ is never judged, nor is
anything of kube-proxy (proxy-mode-leftover), nor ipsets and files below ~/var/lib~, which do no harm by themselves.
`),
	Needs:         []facts.Kind{facts.KindAgents, facts.KindCNIConfig, facts.KindLinks},
	Wants:         []facts.Kind{facts.KindRoutes, facts.KindAddresses, facts.KindNFTables, facts.KindLegacy, facts.KindPods},
	Severity:      check.Critical,
	Settle:        10 * time.Minute,
	NotApplicable: unknownNetwork,
	Run:           runCNILeftover,
}

// unknownNetwork says why it cannot be told which network is in use.
func unknownNetwork(s *facts.Snapshot) string {
	main := mainPlugin(running(s.CNI)).Type
	_, owned := networkOf(main)
	switch {
	case main == "":
		return "no CNI configuration on this host: nothing is in use that a leftover could disturb"
	case !owned && main != "bridge" && main != "ptp" && main != "macvlan" && main != "ipvlan":
		return "the CNI plugin " + main + " may use any network"
	case len(s.Agents) == 0:
		return "no agent of any kind was found among the processes, so none can be missed"
	}
	for _, a := range s.Agents {
		if a.Name == "kubelet" && a.Age < 600 {
			return "kubelet has run for less than ten minutes: a network may still be starting"
		}
	}
	return ""
}

func runCNILeftover(s *facts.Snapshot) []check.Finding {
	if unknownNetwork(s) != "" {
		return nil
	}
	var out []check.Finding
	for _, n := range networks() {
		if inUse(s, n) {
			continue
		}
		if left := leftovers(s, n); left.any() {
			out = append(out, left.finding(s))
		}
	}
	if left := emptyBridge(s); left.any() {
		out = append(out, left.finding(s))
	}
	return out
}

func inUse(s *facts.Snapshot, n network) bool {
	if n.agent(s) != nil {
		return true
	}
	return slices.ContainsFunc(running(s.CNI).Plugins, func(p facts.CNIPlugin) bool {
		return slices.Contains(n.types, p.Type) || p.Bridge != "" && n.owns(p.Bridge)
	})
}

// emptyBridge is the bridge plugin's bridge where the running configuration has another plugin and nothing is attached to it.
func emptyBridge(s *facts.Snapshot) networkLeftover {
	left := networkLeftover{network: network{name: "the bridge plugin"}}
	l := s.Host.LinkNamed("cni0")
	f := running(s.CNI)
	if l == nil || l.Kind != "bridge" {
		return left
	}
	used := func(p facts.CNIPlugin) bool { return p.Bridge == l.Name || p.Type == "flannel" || p.Type == "bridge" }
	port := func(port facts.Link) bool { return port.Master == l.Index }
	if slices.ContainsFunc(f.Plugins, used) || slices.ContainsFunc(s.Host.Links, port) {
		return left
	}
	left.links = []*facts.Link{l}
	left.routes = podRoutes(s, left.links)
	return left
}

func (left networkLeftover) finding(s *facts.Snapshot) check.Finding {
	f := check.Finding{
		Severity: check.Info,
		On:       facts.Ref{NetNS: s.Host.Inode, Name: left.name},
		Message:  fmt.Sprintf("%s does not run here, but has left %s; pods use %s", left.name, left.count(), mainPlugin(running(s.CNI)).Type),
	}
	if len(left.links) > 0 {
		f.On = s.Host.Ref(left.links[0])
	}
	switch {
	case len(left.routes) > 0 || len(left.nat) > 0:
		f.Severity = check.Critical
	case len(left.links) > 0 || left.reached:
		f.Severity = check.Warning
	}
	for _, e := range []struct {
		fact  string
		items []string
	}{
		{"devices", linkNames(left.links)}, {"routes to the cluster's pods", left.routes}, {"chains", left.chains},
		{"rules that translate pods' addresses", left.nat}, {"tables", left.tables},
	} {
		if len(e.items) > 0 {
			f.Evidence = append(f.Evidence, check.Evidence{Fact: e.fact, Got: some(e.items), Want: "none"})
		}
	}
	if len(left.agents) > 0 {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: left.agents[0], Got: "not running"})
	}
	f.Fixes = []fix.Fix{left.reboot(s), left.remove(s)}
	return f
}

func linkNames(links []*facts.Link) []string {
	var out []string
	for _, l := range links {
		out = append(out, l.Name)
	}
	return out
}

// some writes the first few of a list.
func some(items []string) string {
	const most = 6
	if len(items) <= most {
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:most], ", "), len(items)-most)
}
