package facts

import "net/netip"

// CNI is the configuration directory of the container runtime.
type CNI struct {
	Dir     string      `json:"dir"`
	BinDir  string      `json:"binDir"`
	Files   []CNIFile   `json:"files,omitempty"` // .conf, .conflist and .json in name order, the order in which libcni reads them
	Flannel *FlannelEnv `json:"flannel,omitempty"`
}

// CNIFile is one configuration file.
type CNIFile struct {
	Name         string      `json:"name"`
	Error        string      `json:"error,omitempty"` // why it cannot be used; its other fields are then empty
	Network      string      `json:"network,omitempty"`
	Version      string      `json:"version,omitempty"`
	DisableCheck bool        `json:"disableCheck,omitempty"`
	Plugins      []CNIPlugin `json:"plugins,omitempty"`
}

// CNIPlugin is one plugin of a chain.
type CNIPlugin struct {
	Type         string          `json:"type"`
	Binary       *bool           `json:"binary,omitempty"`       // its program is in BinDir; nil where that could not be looked up
	Bridge       string          `json:"bridge,omitempty"`       // the bridge plugin's, or that of flannel's delegate, its default filled in
	Gateway      bool            `json:"gateway,omitempty"`      // the bridge gets the gateway's address: isGateway, isDefaultGateway, or flannel's default
	ForceAddress bool            `json:"forceAddress,omitempty"` // the bridge plugin replaces a wrong address instead of failing
	MTU          int             `json:"mtu,omitempty"`
	Hairpin      bool            `json:"hairpin,omitempty"`
	Promisc      bool            `json:"promisc,omitempty"`
	IPAM         string          `json:"ipam,omitempty"`
	DataDir      string          `json:"dataDir,omitempty"` // of host-local
	Subnets      []netip.Prefix  `json:"subnets,omitempty"`
	Capabilities map[string]bool `json:"capabilities,omitempty"`
}

// FlannelEnv is /run/flannel/subnet.env.
type FlannelEnv struct {
	Network netip.Prefix `json:"network"`
	Subnet  netip.Prefix `json:"subnet"` // with the bridge's address as host part
	MTU     int          `json:"mtu"`
	IPMasq  bool         `json:"ipMasq"`

	IPv6Network netip.Prefix `json:"ipv6Network,omitzero"` // of a dual-stack cluster
	IPv6Subnet  netip.Prefix `json:"ipv6Subnet,omitzero"`
}

// IPAM is what host-local has reserved.
type IPAM struct {
	Networks []IPAMNetwork `json:"networks,omitempty"`
}

// IPAMNetwork is one directory below /var/lib/cni/networks, or where its configuration has several range sets, one of them: a dual-stack network
// has a set for each family, and each can be used up by itself. Sets of one directory have the same Name and Dir.
type IPAMNetwork struct {
	Name         string         `json:"name"`
	Dir          string         `json:"dir"`
	Subnets      []netip.Prefix `json:"subnets,omitempty"`  // of the configuration that uses it; empty where none does
	Capacity     uint64         `json:"capacity,omitempty"` // how many addresses its ranges can give; 0 where unknown
	Reservations []Reservation  `json:"reservations,omitempty"`
}

// Reservation is one reserved address: a file named by the address that holds the container's id and interface.
type Reservation struct {
	IP     netip.Addr `json:"ip"`
	ID     string     `json:"id"`
	IfName string     `json:"ifName,omitempty"`
	Age    int64      `json:"age"` // seconds since the file was written
}
