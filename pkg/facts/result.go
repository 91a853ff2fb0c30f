package facts

import "net/netip"

// PodResult is what the container runtime's plugins say they have made for a pod: the CNI result. Only netmend's own CNI plugin sees it, so it is nil in
// a snapshot of a whole node.
type PodResult struct {
	Network   string          `json:"network,omitempty"`   // name of the network, as the configuration and host-local's directory have it
	Container string          `json:"container,omitempty"` // the runtime's id of the sandbox
	Links     []string        `json:"links,omitempty"`     // of the pod, the first is the one that the runtime asked for
	Addresses []ResultAddress `json:"addresses,omitempty"`
	Routes    []ResultRoute   `json:"routes,omitempty"`
}

// ResultAddress is one address of a result.
type ResultAddress struct {
	Link    string       `json:"link,omitempty"` // empty where the result does not say
	Prefix  netip.Prefix `json:"prefix"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
}

// ResultRoute is one route of a result. Without a gateway of its own the route is by that of the address.
type ResultRoute struct {
	Dst     netip.Prefix `json:"dst"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	Table   int          `json:"table,omitempty"` // 0: main
}

// Probe is what came of asking a pod's link who else has one of its addresses, without telling that the pod has it (RFC 5227 section 2.1.1, RFC 4862 section
// 5.4.3).
type Probe struct {
	Link    int           `json:"link"`
	IP      netip.Addr    `json:"ip"`
	Sent    int           `json:"sent"`
	Holders []ProbeHolder `json:"holders,omitempty"`
}

// ProbeHolder is one that answered.
type ProbeHolder struct {
	MAC     string `json:"mac"`
	Answers int    `json:"answers"`
}

// DefaultRoute says whether the result has a default route of the main table for IPv4 or IPv6.
func (r *PodResult) DefaultRoute(v4 bool) bool {
	for _, t := range r.Routes {
		if t.Dst.IsValid() && t.Dst.Bits() == 0 && t.Dst.Addr().Is4() == v4 && (t.Table == 0 || t.Table == TableMain) {
			return true
		}
	}
	return false
}

// HasLink says whether a link of the pod is the result's.
func (r *PodResult) HasLink(name string) bool {
	for _, l := range r.Links {
		if l == name {
			return true
		}
	}
	return false
}
