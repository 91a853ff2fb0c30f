package facts

// Namespace is one network namespace. Groups are nil where they were not read.
type Namespace struct {
	Inode   uint64          `json:"inode"`
	Path    string          `json:"path,omitempty"` // a path that opens it, for nsenter; empty for the namespace netmend ran in
	NSID    *int            `json:"nsid,omitempty"` // its id as seen from the node's namespace; nil where the kernel gave none
	PID     int             `json:"pid,omitempty"`  // one process that lives in it
	Comm    string          `json:"comm,omitempty"` // that process's name
	Missing map[Kind]string `json:"missing,omitempty"`
	Result  *PodResult      `json:"result,omitempty"` // nil where the pod's CNI result is not known

	Links      []Link            `json:"links,omitempty"`
	Probes     []Probe           `json:"probes,omitempty"` // nil where nobody was asked
	Addresses  []Address         `json:"addresses,omitempty"`
	Routes     []Route           `json:"routes,omitempty"`
	Rules      []Rule            `json:"rules,omitempty"`
	Neighbours []Neighbour       `json:"neighbours,omitempty"`
	FDB        []FDBEntry        `json:"fdb,omitempty"`
	Sysctls    map[string]string `json:"sysctls,omitempty"` // by path below /proc/sys: "net/ipv4/ip_forward"; an absent file has no key
	Counters   *Counters         `json:"counters,omitempty"`
	Softnet    *Softnet          `json:"softnet,omitempty"`
	UDPSockets []UDPSocket       `json:"udpSockets,omitempty"`
	Listeners  []Listener        `json:"listeners,omitempty"`
	Conntrack  *Conntrack        `json:"conntrack,omitempty"`
	TunnelNAT  []NATFlow         `json:"tunnelNAT,omitempty"`
	Tables     []Table           `json:"tables,omitempty"` // of both backends
	IPVS       *IPVS             `json:"ipvs,omitempty"`
}

// Ref names a link of the namespace.
func (n *Namespace) Ref(l *Link) Ref { return Ref{NetNS: n.Inode, Index: l.Index, Name: l.Name} }

// Link finds a link by its index; nil where there is none.
func (n *Namespace) Link(index int) *Link {
	if index <= 0 {
		return nil
	}
	i := at(len(n.Links), func(i int) bool { return n.Links[i].Index >= index }, func(i int) bool { return n.Links[i].Index == index })
	if i < 0 {
		return nil
	}
	return &n.Links[i]
}

// LinkNamed finds a link by its name; nil where there is none.
func (n *Namespace) LinkNamed(name string) *Link {
	for i := range n.Links {
		if n.Links[i].Name == name {
			return &n.Links[i]
		}
	}
	return nil
}
