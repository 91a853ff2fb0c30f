package facts

// Kind names a group of facts that is collected, or missing, as a whole. The names are part of the snapshot's schema.
type Kind string

// The kinds of a network namespace. Those that [Kind.PerPod] reports are read in each pod's namespace too.
const (
	KindLinks      Kind = "links"           // every link: kind, master, peer, MTU, tunnel attributes
	KindTunnels    Kind = "tunnels"         // at least the tunnel links and the links under them
	KindPodLinks   Kind = "pod-links"       // at least the pods' links and their peers in the node's namespace
	KindAddresses  Kind = "addresses"       // every address with flags and lifetimes
	KindRoutes     Kind = "routes"          // every unicast, local and blackhole-type route of every table
	KindRules      Kind = "rules"           // policy routing rules
	KindNeighbours Kind = "neighbours"      // ARP and NDP entries
	KindFDB        Kind = "fdb"             // bridge and vxlan forwarding entries
	KindFeatures   Kind = "features"        // ethtool features and driver of the links that are not a pod's
	KindSysctls    Kind = "sysctls"         // the networking values listed by package collect
	KindCounters   Kind = "counters"        // /proc/net/netstat, snmp, snmp6
	KindSoftnet    Kind = "softnet"         // /proc/net/softnet_stat and sockstat
	KindSockets    Kind = "sockets"         // UDP sockets with their drops, TCP listeners with their queues
	KindConntrack  Kind = "conntrack"       // usage, limit, statistics
	KindTunnelNAT  Kind = "tunnel-nat"      // connection-tracking entries whose outer tunnel packet was translated
	KindNFTables   Kind = "nftables"        // tables, chains and the rules of the chains that matter, also those of iptables-nft
	KindLegacy     Kind = "iptables-legacy" // the same for the legacy backend, read only where it is already registered
	KindIPVS       Kind = "ipvs"            // presence, virtual servers and their destinations
)

// The kinds of a node as a whole.
const (
	KindPods           Kind = "pods"            // the pods' network namespaces
	KindNeighbourTable Kind = "neighbour-table" // fill of the neighbour tables, global over all namespaces
	KindServiceVIPs    Kind = "service-vips"    // what carries each virtual IP of [Intent.Services]
	KindServices       Kind = "services"        // [Intent.Cluster]: all Services and EndpointSlices, by the API or a file
	KindServiceRules   Kind = "service-rules"   // what the kernel holds for every Service
	KindProxy          Kind = "proxy"           // kube-proxy's mode
	KindCNIConfig      Kind = "cni-config"      // /etc/cni/net.d and flannel's subnet.env
	KindIPAM           Kind = "ipam"            // reservations of host-local
	KindAgents         Kind = "agents"          // which network agents run on the node
	KindSysctlFiles    Kind = "sysctl-files"    // the files that set sysctls at boot
)

// NamespaceKinds are the kinds of a network namespace, in the order in which reports list them.
func NamespaceKinds() []Kind {
	return []Kind{
		KindLinks, KindTunnels, KindPodLinks, KindAddresses, KindRoutes, KindRules, KindNeighbours, KindFDB, KindFeatures, KindSysctls,
		KindCounters, KindSoftnet, KindSockets, KindConntrack, KindTunnelNAT, KindNFTables, KindLegacy, KindIPVS,
	}
}

// NodeKinds are the kinds of a node as a whole, in the order in which reports list them.
func NodeKinds() []Kind {
	return []Kind{
		KindPods, KindNeighbourTable, KindServiceVIPs, KindServices, KindServiceRules, KindProxy, KindCNIConfig, KindIPAM, KindAgents, KindSysctlFiles,
	}
}

// PerPod says whether the kind is also read in each pod's network namespace.
func (k Kind) PerPod() bool {
	switch k {
	case KindLinks, KindPodLinks, KindAddresses, KindRoutes, KindSysctls, KindCounters, KindSockets:
		return true
	}
	return false
}
