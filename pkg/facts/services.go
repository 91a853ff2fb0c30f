package facts

import "net/netip"

// kube-proxy's modes, by the names it gives itself.
const (
	ModeIPTables = "iptables"
	ModeNFTables = "nftables"
	ModeIPVS     = "ipvs"
)

// Proxy is who carries Services on the node.
type Proxy struct {
	Mode     string `json:"mode,omitempty"`     // one of the modes above; empty where nothing of kube-proxy was found
	Source   string `json:"source,omitempty"`   // what says so: "127.0.0.1:10249/proxyMode", "nft table ip kube-proxy", ...
	Replaced string `json:"replaced,omitempty"` // the program that carries Services instead of kube-proxy: cilium, kube-router
	Age      int64  `json:"age,omitempty"`      // seconds that kube-proxy's process has run; 0 where unknown or not running

	Config *ProxyConfig `json:"config,omitempty"` // nil where kube-proxy did not tell
	State  *ProxyState  `json:"state,omitempty"`  // nil where it was not asked
}

// ServiceVIP is what the kernel holds for one [ServiceIntent].
type ServiceVIP struct {
	ServiceIntent
	Mode        string `json:"mode"` // the mode in which it was looked up
	Found       bool   `json:"found"`
	NoEndpoints bool   `json:"noEndpoints,omitempty"` // it is there, and rejects for want of endpoints
	Detail      string `json:"detail,omitempty"`      // the chain, map element or virtual server that was found or missed
}

// IPVS is the state of the IP virtual server. Present is false where the kernel has none, which is not a fault.
type IPVS struct {
	Present bool         `json:"present"`
	Servers []IPVSServer `json:"servers,omitempty"`
}

// IPVSServer is one virtual server.
type IPVSServer struct {
	VIP      netip.Addr `json:"vip"`
	Port     uint16     `json:"port"`
	Protocol string     `json:"protocol"`
	Dests    []IPVSDest `json:"dests,omitempty"`
}

// IPVSDest is one real server.
type IPVSDest struct {
	Addr   netip.AddrPort `json:"addr"`
	Weight int            `json:"weight"`
}

// Agent is a network agent found among the node's processes, in the node's network namespace. One process that is several, as k3s is kubelet,
// kube-proxy and flanneld, is told once for each and by its own name.
type Agent struct {
	Name string `json:"name"` // flanneld, calico-node, cilium-agent, kube-proxy, kubelet, ...
	PID  int    `json:"pid"`
	Age  int64  `json:"age"` // seconds
}

// SysctlSetting is one line of a file that sets sysctls at boot, in the order in which they apply (sysctl.d(5)).
type SysctlSetting struct {
	File  string `json:"file"`
	Line  int    `json:"line"`
	Key   string `json:"key"` // as a path below /proc/sys, globs kept
	Value string `json:"value"`
}
