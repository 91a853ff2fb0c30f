package facts

import "net/netip"

// Counters are the protocol counters of one namespace by the kernel's own names with their group: "TcpExt.ListenDrops", "Udp.InCsumErrors",
// "Udp6.InCsumErrors" (of snmp6's Udp6InCsumErrors). A name that this kernel does not have is absent, which is not zero.
type Counters struct {
	Total map[string]uint64 `json:"total"`
	Delta map[string]uint64 `json:"delta,omitempty"` // over the snapshot's window; nil where there is none; a counter that went back is absent
}

// Softnet is the sum over all processors of /proc/net/softnet_stat, and the socket memory use of /proc/net/sockstat.
type Softnet struct {
	Processed    uint64           `json:"processed"`
	Dropped      uint64           `json:"dropped"`
	Squeezed     uint64           `json:"squeezed"`
	DeltaDropped *uint64          `json:"deltaDropped,omitempty"`
	Sockstat     map[string]int64 `json:"sockstat,omitempty"` // "TCP.tw", "UDP.inuse"
}

// UDPSocket is one bound UDP socket. Kernel sockets, such as those of vxlan, are among them.
type UDPSocket struct {
	Local      netip.AddrPort `json:"local"`
	Drops      uint64         `json:"drops"`
	DeltaDrops *uint64        `json:"deltaDrops,omitempty"`
}

// Listener is one listening TCP socket (sock_diag): the accept queue's length and limit.
type Listener struct {
	Local netip.AddrPort `json:"local"`
	Queue uint32         `json:"queue"`
	Limit uint32         `json:"limit"`
}

// Conntrack is the connection-tracking table of one namespace. Max is settable in the initial namespace only but counts per namespace.
type Conntrack struct {
	Count uint64            `json:"count"`
	Max   uint64            `json:"max"`
	Stats map[string]uint64 `json:"stats,omitempty"` // sums over processors: drop, early_drop, insert_failed, invalid
	Delta map[string]uint64 `json:"delta,omitempty"`
}

// NATFlow is a tunnel's outer flow that source NAT has changed (IPS_SRC_NAT): the reply tuple differs from the original.
type NATFlow struct {
	Src      netip.AddrPort `json:"src"`
	Dst      netip.AddrPort `json:"dst"`
	ReplyDst netip.AddrPort `json:"replyDst"` // where replies go: the source that is on the wire
}
