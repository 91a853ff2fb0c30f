package facts

import "net/netip"

// ProxyConfig is what of kube-proxy's configuration decides about its rules, as the running kube-proxy tells it (its /configz).
type ProxyConfig struct {
	Mode               string         `json:"mode,omitempty"`              // as configured; empty: the default
	NodePortAddresses  []string       `json:"nodePortAddresses,omitempty"` // prefixes, or "primary"
	ClusterCIDRs       []netip.Prefix `json:"clusterCIDRs,omitempty"`
	DetectLocal        string         `json:"detectLocal,omitempty"`        // ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix; empty: ClusterCIDR
	DetectLocalLink    string         `json:"detectLocalLink,omitempty"`    // the bridge or the prefix of interface names
	MasqueradeAll      bool           `json:"masqueradeAll,omitempty"`      // of the mode
	MasqueradeBit      *int           `json:"masqueradeBit,omitempty"`      // nil: 14
	LocalhostNodePorts *bool          `json:"localhostNodePorts,omitempty"` // iptables mode; nil: true
	SyncPeriod         float64        `json:"syncPeriod,omitempty"`         // seconds
	MinSyncPeriod      float64        `json:"minSyncPeriod,omitempty"`      // seconds
	Scheduler          string         `json:"scheduler,omitempty"`          // IPVS mode; empty: rr
	StrictARP          bool           `json:"strictARP,omitempty"`          // IPVS mode
	ExcludeCIDRs       []netip.Prefix `json:"excludeCIDRs,omitempty"`       // IPVS mode: virtual servers that kube-proxy leaves alone
	BindAddress        netip.Addr     `json:"bindAddress,omitzero"`
	NodeName           string         `json:"nodeName,omitempty"`         // hostnameOverride
	LiberalConntrack   bool           `json:"liberalConntrack,omitempty"` // conntrack.tcpBeLiberal
}

// ProxyState is what a running kube-proxy says of itself.
type ProxyState struct {
	Refused bool  `json:"refused,omitempty"` // nothing listens on its health port
	Live    *bool `json:"live,omitempty"`    // its /livez; nil where it gave no answer
	Pending bool  `json:"pending,omitempty"` // it has queued a sync that has not ended
	Queued  int64 `json:"queued,omitempty"`  // seconds, at least 1, since a sync was last queued, of the family in which that is longer ago; 0 where unknown
	Synced  int64 `json:"synced,omitempty"`  // seconds, at least 1, since a sync last ended, of the family in which that is longer ago; 0 where unknown
}
