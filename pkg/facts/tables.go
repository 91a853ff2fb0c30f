package facts

// The two backends that hold packet filter tables. Tables of iptables-nft are nftables tables.
const (
	BackendNFT    = "nft"
	BackendLegacy = "legacy"
)

// Table is one packet filter table.
type Table struct {
	Backend string         `json:"backend"`
	Family  string         `json:"family"` // ip, ip6, inet, arp, bridge, netdev
	Name    string         `json:"name"`
	Chains  []Chain        `json:"chains,omitempty"` // all but the bulk ones
	Bulk    map[string]int `json:"bulk,omitempty"`   // how many chains start with KUBE-SVC-, KUBE-SEP-, cali-tw-, ...: the many that are only counted
	Maps    []string       `json:"maps,omitempty"`   // names of its sets and maps
}

// Chain is one chain. Hook is empty for a chain that is only jumped to.
type Chain struct {
	Name         string       `json:"name"`
	Type         string       `json:"type,omitempty"` // filter, nat, route
	Hook         string       `json:"hook,omitempty"` // prerouting, input, forward, output, postrouting, ingress
	Priority     int          `json:"priority,omitempty"`
	Policy       string       `json:"policy,omitempty"`  // accept or drop, of a base chain
	Packets      *uint64      `json:"packets,omitempty"` // that met the policy, where the kernel counts them
	DeltaPackets *uint64      `json:"deltaPackets,omitempty"`
	RulesRead    bool         `json:"rulesRead,omitempty"` // false: the chain's rules were not asked for
	Rules        []FilterRule `json:"rules,omitempty"`
}

// FilterRule is one rule as far as it is understood. Opaque is set where it has a match that the reader does not know: such a rule may match less
// than its fields say, so it can neither prove that a packet passes nor that it is dropped. A rule of nftables that looks up an anonymous set or map
// ("iifname { cni0, eth0 } accept") is a FilterRule for each element, in a row, all with the counter of the one; where it matches is where one of them does.
type FilterRule struct {
	Verdict     string   `json:"verdict,omitempty"` // accept, drop, reject, return, jump, goto, masquerade, snat, dnat, mark, notrack; empty: none (a counter)
	Target      string   `json:"target,omitempty"`  // the chain of a jump, or the name of an xtables target
	InLink      string   `json:"in,omitempty"`      // as iptables writes it: "cni0", "cali+", "!docker0"
	OutLink     string   `json:"out,omitempty"`
	Src         string   `json:"src,omitempty"` // prefix, "!prefix" for a negated one
	Dst         string   `json:"dst,omitempty"`
	Proto       string   `json:"proto,omitempty"`
	DPort       string   `json:"dport,omitempty"`    // number or first:last, "!" in front for any other
	Mark        string   `json:"mark,omitempty"`     // value/mask, "!value/mask"; with one bit in the mask the value is that bit
	SetMark     string   `json:"setMark,omitempty"`  // "xor value/mask", as --set-xmark: (mark AND NOT mask) XOR value; "xor 0x4000/0x0"
	CTState     []string `json:"ctState,omitempty"`  // any of invalid, established, related, new, untracked; a negated match lists the others
	CTStatus    []string `json:"ctStatus,omitempty"` // dnat, snat, ...: any of them (firewalld accepts "ct status dnat")
	RandomFully bool     `json:"randomFully,omitempty"`
	Comment     string   `json:"comment,omitempty"`
	Opaque      bool     `json:"opaque,omitempty"`
	Packets     *uint64  `json:"packets,omitempty"`

	DeltaPackets *uint64 `json:"deltaPackets,omitempty"` // over the snapshot's window
}

// IPTables says whether the table is one that iptables (of either backend) made: family ip or ip6 and one of its five names.
func (t *Table) IPTables() bool {
	if t.Family != "ip" && t.Family != "ip6" {
		return false
	}
	switch t.Name {
	case "filter", "nat", "mangle", "raw", "security":
		return true
	}
	return false
}

// Chain finds a chain by its name; nil where there is none.
func (t *Table) Chain(name string) *Chain {
	for i := range t.Chains {
		if t.Chains[i].Name == name {
			return &t.Chains[i]
		}
	}
	return nil
}

// Table finds a table; nil where there is none.
func (n *Namespace) Table(backend, family, name string) *Table {
	for i := range n.Tables {
		t := &n.Tables[i]
		if t.Backend == backend && t.Family == family && t.Name == name {
			return t
		}
	}
	return nil
}
