package facts

import "net/netip"

// Forever is the lifetime of an address that does not expire (INFINITY_LIFE_TIME of linux/if_addr.h).
const Forever = ^uint32(0)

// Address is one address of a link.
type Address struct {
	Link      int          `json:"link"`
	Prefix    netip.Prefix `json:"prefix"` // the address with its prefix length, host bits kept
	Peer      netip.Prefix `json:"peer"`   // of a point-to-point link; else the zero Prefix
	Scope     string       `json:"scope"`  // global, site, link, host
	Label     string       `json:"label,omitempty"`
	Permanent bool         `json:"permanent"`           // IFA_F_PERMANENT
	Secondary bool         `json:"secondary,omitempty"` // IFA_F_SECONDARY (of IPv4; for IPv6 the same bit means temporary)
	Tentative bool         `json:"tentative,omitempty"`
	DADFailed bool         `json:"dadFailed,omitempty"`
	NoDAD     bool         `json:"noDAD,omitempty"`
	Valid     uint32       `json:"validLft"`           // seconds; Forever
	Preferred uint32       `json:"preferredLft"`       // seconds; Forever
	Protocol  string       `json:"protocol,omitempty"` // IFA_PROTO, 5.18 and later
}

// Route is one route.
type Route struct {
	Dst      netip.Prefix `json:"dst"` // 0.0.0.0/0 or ::/0 for the default route
	Src      netip.Addr   `json:"src"` // preferred source; zero for none
	Gateway  netip.Addr   `json:"gateway"`
	Link     int          `json:"link"` // output link; 0 for none or for several
	Type     string       `json:"type"` // unicast, local, blackhole, unreachable, prohibit, throw
	Scope    string       `json:"scope"`
	Protocol string       `json:"protocol"`
	Table    int          `json:"table"`
	Metric   int          `json:"metric,omitempty"`
	MTU      int          `json:"mtu,omitempty"` // RTAX_MTU
	MTULock  bool         `json:"mtuLock,omitempty"`
	OnLink   bool         `json:"onlink,omitempty"`
	NextHops []NextHop    `json:"nextHops,omitempty"` // of a multipath route
}

// NextHop is one way of a multipath route.
type NextHop struct {
	Gateway netip.Addr `json:"gateway"`
	Link    int        `json:"link"`
}

// Rule is one policy routing rule.
type Rule struct {
	Family   int          `json:"family"` // 4 or 6
	Priority int          `json:"priority"`
	Src      netip.Prefix `json:"src"`
	Dst      netip.Prefix `json:"dst"`
	Mark     uint32       `json:"mark,omitempty"`
	Mask     uint32       `json:"mask,omitempty"`
	InLink   string       `json:"iif,omitempty"`
	OutLink  string       `json:"oif,omitempty"`
	Table    int          `json:"table"`
	Invert   bool         `json:"not,omitempty"`
	Action   string       `json:"action,omitempty"` // what it does instead of looking up Table: goto, nop, blackhole, unreachable, prohibit, unknown
	Opaque   bool         `json:"opaque,omitempty"` // it matches less than these fields say (TOS, protocol, ports, user, suppressed prefixes, VRF)
}

// Neighbour is one ARP or NDP entry.
type Neighbour struct {
	Link  int        `json:"link"`
	IP    netip.Addr `json:"ip"`
	MAC   string     `json:"mac,omitempty"`
	State string     `json:"state"` // permanent, noarp, reachable, stale, delay, probe, incomplete, failed
}

// FDBEntry is one forwarding entry of a bridge or a vxlan device.
type FDBEntry struct {
	Link  int        `json:"link"`
	MAC   string     `json:"mac"`
	Dst   netip.Addr `json:"dst"` // the remote tunnel end; zero for a bridge port
	Self  bool       `json:"self,omitempty"`
	State string     `json:"state"`
}

// NeighbourTable is the fill of the kernel's neighbour tables, which are global over all namespaces.
type NeighbourTable struct {
	ARP *TableFill `json:"arp,omitempty"`
	NDP *TableFill `json:"ndp,omitempty"`
}

// TableFill is one neighbour table. The thresholds exist in the initial namespace only, so they may be nil.
type TableFill struct {
	Entries         int64   `json:"entries"`
	GCThresh3       *int64  `json:"gcThresh3,omitempty"`
	TableFulls      uint64  `json:"tableFulls"`
	DeltaTableFulls *uint64 `json:"deltaTableFulls,omitempty"`
}
