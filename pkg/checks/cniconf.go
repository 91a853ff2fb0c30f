package checks

import (
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// running is the configuration that the container runtime uses: the first usable file in the order of names (containerd and CRI-O). It is empty
// where there is none.
func running(c *facts.CNI) facts.CNIFile {
	if c == nil {
		return facts.CNIFile{}
	}
	for _, f := range c.Files {
		if f.Error == "" && len(f.Plugins) > 0 {
			return f
		}
	}
	return facts.CNIFile{}
}

// mainPlugin is the plugin of a chain that makes the pod's link: the first that does not need another's result. It is empty where there is none.
func mainPlugin(f facts.CNIFile) facts.CNIPlugin {
	for _, p := range f.Plugins {
		if p.Type != "netmend" && !needsResult(p.Type) {
			return p
		}
	}
	return facts.CNIPlugin{}
}

// needsResult tells the reference plugins that refuse to run, or crash, without the result of a plugin before them: seen with each of them, v1.9.1.
func needsResult(plugin string) bool {
	return slices.Contains([]string{"bandwidth", "firewall", "portmap", "sbr", "tuning", "vrf"}, plugin)
}

// network is a pod network that leaves traces of its own on a node.
type network struct {
	name   string
	types  []string // of its CNI plugin
	agents []string // processes, one of which runs where the network does
	links  []string // patterns of package path
	chains []string // prefixes of packet filter chains
	tables []string // prefixes of nftables tables
}

// networks are those that netmend can tell apart. A name is in links only where nobody else uses it.
func networks() []network {
	return []network{
		{name: "antrea", types: []string{"antrea"}, agents: []string{"antrea-agent"}, links: []string{"antrea-gw0", "antrea-tun0"}, chains: []string{"ANTREA-"}},
		{
			name: "calico", types: []string{"calico"}, agents: []string{"calico-node", "calico-felix"},
			links: []string{"cali[0-9a-f]*", "vxlan.calico", "vxlan-v6.calico", "wireguard.cali"}, chains: []string{"cali-"}, tables: []string{"calico"},
		},
		{
			name: "cilium", types: []string{"cilium-cni"}, agents: []string{"cilium-agent"},
			links:  []string{"cilium_*", "lxc_health", "lxc[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]*"},
			chains: []string{"CILIUM_", "OLD_CILIUM_"},
		},
		{
			name: "flannel", types: []string{"flannel"}, agents: []string{"flanneld"},
			links: []string{"flannel.[0-9]*", "flannel-v6.[0-9]*", "flannel-wg", "flannel.ipip"}, chains: []string{"FLANNEL-"}, tables: []string{"flannel-ipv"},
		},
		{name: "kube-router", agents: []string{"kube-router"}, links: []string{"kube-bridge", "kube-dummy-if"}}, // its chains are k3s's too
		{
			name: "weave", types: []string{"weave-net"}, agents: []string{"weaver"},
			links: []string{"weave", "datapath", "vxlan-6784", "vethwe-*", "vethwepl*"}, chains: []string{"WEAVE"},
		},
	}
}

// networkOf finds the network that a plugin type belongs to; ok is false for one that may belong to any, such as bridge.
func networkOf(plugin string) (n network, ok bool) {
	for _, n := range networks() {
		if slices.Contains(n.types, plugin) {
			return n, true
		}
	}
	return network{}, false
}

// agent finds a running process of the network; nil where there is none.
func (n network) agent(s *facts.Snapshot) *facts.Agent {
	for i := range s.Agents {
		if slices.Contains(n.agents, s.Agents[i].Name) {
			return &s.Agents[i]
		}
	}
	return nil
}
