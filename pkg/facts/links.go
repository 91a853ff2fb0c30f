package facts

import "net/netip"

// Link is one network interface.
type Link struct {
	Index    int    `json:"index"`
	Name     string `json:"name"`
	Kind     string `json:"kind,omitempty"` // IFLA_INFO_KIND: vxlan, geneve, ipip, sit, gre, wireguard, veth, bridge, dummy, ...; empty for hardware and lo
	MTU      int    `json:"mtu"`
	Up       bool   `json:"up"`      // IFF_UP
	Running  bool   `json:"running"` // IFF_RUNNING
	Loopback bool   `json:"loopback,omitempty"`
	Promisc  bool   `json:"promisc,omitempty"`
	MAC      string `json:"mac,omitempty"`
	Master   int    `json:"master,omitempty"`   // index of the bridge, bond or VRF it belongs to
	Parent   int    `json:"parent,omitempty"`   // IFLA_LINK: the lower link, or the peer of a veth; 0 for none
	PeerNSID *int   `json:"peerNSID,omitempty"` // IFLA_LINK_NETNSID: the namespace in which Parent is an index; nil: this one

	Tunnel *Tunnel     `json:"tunnel,omitempty"`
	VLAN   int         `json:"vlan,omitempty"`
	Port   *BridgePort `json:"port,omitempty"` // how it is attached to the bridge Master

	Driver   string             `json:"driver,omitempty"`   // ETHTOOL_GDRVINFO
	Features map[string]Feature `json:"features,omitempty"` // nil: not read

	RxDropped uint64  `json:"rxDropped,omitempty"`
	TxDropped uint64  `json:"txDropped,omitempty"`
	DeltaRx   *uint64 `json:"deltaRxDropped,omitempty"` // over the window; nil: none
	DeltaTx   *uint64 `json:"deltaTxDropped,omitempty"`
}

// Tunnel is what a link encapsulates with. Fields that a kind does not have are zero.
type Tunnel struct {
	Local   netip.Addr `json:"local"`                     // the outer source address; the zero Addr for any
	Remote  netip.Addr `json:"remote"`                    // the fixed outer destination, or multicast group
	ID      uint32     `json:"id,omitempty"`              // VNI or key
	Port    uint16     `json:"port,omitempty"`            // UDP destination port
	UDPCsum *bool      `json:"udpCsum,omitempty"`         // IFLA_VXLAN_UDP_CSUM or the geneve twin; nil where the kind has none
	CSum6Tx *bool      `json:"csum6Tx,omitempty"`         // the outer checksum over IPv6 is sent: the negation of *_UDP_ZERO_CSUM6_TX
	Collect bool       `json:"collectMetadata,omitempty"` // driven by flow metadata ("external")
	DF      string     `json:"df,omitempty"`              // unset, set or inherit
	Learn   bool       `json:"learning,omitempty"`
}

// BridgePort is a link's attachment to its bridge.
type BridgePort struct {
	State   string `json:"state,omitempty"`
	Hairpin bool   `json:"hairpin"`
}

// Feature is one ethtool feature, by the name that ethtool -k prints.
type Feature struct {
	On    bool `json:"on"`
	Fixed bool `json:"fixed,omitempty"` // cannot be changed
}

// FeatureTxChecksum is the feature behind `ethtool -K DEV tx-checksum-ip-generic`; vxlan and geneve devices have it (NETIF_F_HW_CSUM).
const FeatureTxChecksum = "tx-checksum-ip-generic"
