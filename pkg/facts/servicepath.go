package facts

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
)

// ServiceRules is what the kernel holds for all Services in the mode in which kube-proxy runs: the same form that package services gives for what it should
// hold. Family by family it is of one generation of the tables.
type ServiceRules struct {
	Mode      string          `json:"mode"`               // [ModeIPTables], [ModeNFTables] or [ModeIPVS]
	Families  []int           `json:"families,omitempty"` // those that were read: 4, 6
	NodePorts []NodePortScope `json:"nodePorts,omitempty"`
	Paths     []ServicePath   `json:"paths,omitempty"` // in the order of [ServicePath.Front]
	Ahead     []AheadRule     `json:"ahead,omitempty"` // in the order in which packets meet them
}

// NodePortScope says at which of the node's addresses node ports are served, in iptables and nftables mode. In IPVS mode each address has virtual servers of
// its own.
type NodePortScope struct {
	Family    int          `json:"family"`
	All       bool         `json:"all,omitempty"`       // at every local address, but for loopback ones
	Loopback  bool         `json:"loopback,omitempty"`  // also at loopback ones
	Addresses []netip.Addr `json:"addresses,omitempty"` // only at these, in their order
}

// AheadRule is a rule of another program that packets meet before kube-proxy's, and that keeps some of them from those: it accepts them, drops them, translates
// them itself, or does something that is not understood. It is read in iptables mode, of those that name a destination, a port, or match every packet.
type AheadRule struct {
	Family   int            `json:"family"`
	Hook     string         `json:"hook"`               // [HookPrerouting] or [HookOutput]
	Where    string         `json:"where"`              // table, chain and place: "nat PREROUTING rule 1"
	Dst      netip.Prefix   `json:"dst,omitzero"`       // of the destination; the zero value: every one
	Protocol string         `json:"protocol,omitempty"` // tcp, udp or sctp; empty: every one
	Port     uint16         `json:"port,omitempty"`     // of the destination; 0: every one
	Does     string         `json:"does"`               // [AheadAccepts], [AheadDrops], [AheadTranslates] or [AheadOther]
	To       netip.AddrPort `json:"to,omitzero"`        // of [AheadTranslates]
	Unknown  string         `json:"unknown,omitempty"`  // what else has to be so: then it may match fewer packets
}

// Where packets meet a rule: those that come in, from pods too, and the node's own.
const (
	HookPrerouting = "prerouting"
	HookOutput     = "output"
)

// What an [AheadRule] does.
const (
	AheadAccepts    = "accepts" // without translating them: no rule of the table behind it is asked
	AheadDrops      = "drops"
	AheadTranslates = "translates"
	AheadOther      = "other"
)

// Catches says whether a rule may match connections to a path's frontend. A port of the node itself is at any address.
func (a *AheadRule) Catches(p *ServicePath) bool {
	return a.Family == p.Family && (!a.Dst.IsValid() || !p.VIP.IsValid() || a.Dst.Contains(p.VIP)) &&
		(a.Protocol == "" || a.Protocol == p.Protocol) && (a.Port == 0 || a.Port == p.Port)
}

// The kinds of frontends. The kernel's rules do not always tell an external IP from a load balancer's: a reader then says [FrontExternal] for both.
const (
	FrontCluster      = "cluster"
	FrontNodePort     = "node-port"
	FrontExternal     = "external"
	FrontLoadBalancer = "load-balancer"
	FrontHealth       = "health" // the port of healthCheckNodePort, which is let in and has no backends in the kernel
)

// The scopes of a frontend whose connections take different ways depending on where they come from (externalTrafficPolicy: Local in iptables and nftables
// mode): a [ServicePath] for each. An empty scope is all connections.
const (
	ScopeInside  = "inside"  // from the node itself and from pods that kube-proxy knows to be local
	ScopeNode    = "node"    // from the node itself, where kube-proxy cannot tell pods
	ScopeOutside = "outside" // all others
)

// What becomes of connections that have no backend.
const (
	VerdictReject = "reject" // no endpoint anywhere
	VerdictDrop   = "drop"   // a policy is Local and no endpoint is on this node
)

// ServicePath is one way that new connections take: from a frontend to backends. Slices and strings are shared between paths and must not be changed.
type ServicePath struct {
	Name       string           `json:"name,omitempty"` // namespace/name:port, as kube-proxy names it; empty where the kernel does not know it
	Kind       string           `json:"kind"`
	Scope      string           `json:"scope,omitempty"`
	Family     int              `json:"family"`       // 4 or 6
	VIP        netip.Addr       `json:"vip,omitzero"` // zero for a port of the node itself in iptables and nftables mode, see [NodePortScope]
	Port       uint16           `json:"port"`
	Protocol   string           `json:"protocol"`            // tcp, udp or sctp
	Verdict    string           `json:"verdict,omitempty"`   // reject, drop; empty where there are backends, and in IPVS mode, which has none
	Masquerade Masquerade       `json:"masquerade,omitzero"` // whose source address is replaced
	Affinity   uint32           `json:"affinity,omitempty"`  // seconds for which a client stays with its backend; 0: no affinity
	Sources    []netip.Prefix   `json:"sources,omitempty"`   // only connections from these are let through, in their order; nil: all
	Backends   []ServiceBackend `json:"backends,omitempty"`  // in the order of their addresses
	Broken     []string         `json:"broken,omitempty"`    // links of the way that lead nowhere, such as the names of empty chains
	Unknown    string           `json:"unknown,omitempty"`   // what of the way is not understood: then the other fields are not all there is, and prove nothing
	Trace      []string         `json:"trace,omitempty"`     // what carries it, link by link; only where it was asked for
}

// ServiceBackend is one backend. Where the mode gives each the same share, as iptables and nftables do, Weight is 1; with 0 it gets no new connections. Where
// their rules give different shares, it is thousandths of all connections.
type ServiceBackend struct {
	Addr   netip.AddrPort `json:"addr"`
	Weight uint32         `json:"weight"`
}

// Masquerade is a set of those whose source address is replaced by the node's.
type Masquerade uint8

// The members of a [Masquerade].
const (
	MasqAll        Masquerade = 1 << iota // every connection
	MasqOffCluster                        // those that do not come from local pods, by kube-proxy's way to know them
	MasqNode                              // the node's own
	MasqHairpin                           // those of each backend to itself
)

var masqueradeNames = [...]string{"all", "off-cluster", "node", "hairpin"}

// String lists the members.
func (m Masquerade) String() string {
	var names []string
	for i, name := range masqueradeNames {
		if m&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "+")
}

// MarshalText writes the members' names.
func (m Masquerade) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads them.
func (m *Masquerade) UnmarshalText(text []byte) error {
	var all Masquerade
next:
	for part := range strings.SplitSeq(string(text), "+") {
		if part == "" && len(text) == 0 {
			break
		}
		for i, name := range masqueradeNames {
			if part == name {
				all |= 1 << i
				continue next
			}
		}
		return fmt.Errorf("unknown kind of masquerading %.50q", part)
	}
	*m = all
	return nil
}

// Front orders paths by their frontends and scopes, and says whether two are of the same one (0). An external IP and a load balancer's are not told apart.
func (p *ServicePath) Front(q *ServicePath) int {
	outward := func(kind string) string {
		if kind == FrontLoadBalancer {
			return FrontExternal
		}
		return kind
	}
	if p.Family != q.Family {
		return p.Family - q.Family
	}
	if c := p.VIP.Compare(q.VIP); c != 0 {
		return c
	}
	if p.Port != q.Port {
		return int(p.Port) - int(q.Port)
	}
	if c := strings.Compare(p.Protocol, q.Protocol); c != 0 {
		return c
	}
	if c := strings.Compare(outward(p.Kind), outward(q.Kind)); c != 0 {
		return c
	}
	return strings.Compare(p.Scope, q.Scope)
}

// Text says what the rule does: "nat PREROUTING rule 1 accepts tcp to 10.96.0.1/32 port 443".
func (a *AheadRule) Text() string {
	words := []string{a.Where, a.Does}
	switch a.Does {
	case AheadOther:
		words[1] = "does something to"
	case AheadTranslates:
		words[1] = "translates"
	}
	words = append(words, cmp.Or(a.Protocol, "packets"))
	if a.Dst.IsValid() {
		words = append(words, "to "+a.Dst.String())
	}
	if a.Port != 0 {
		words = append(words, fmt.Sprintf("port %d", a.Port))
	}
	if a.To.IsValid() {
		words = append(words, "into "+a.To.String())
	}
	if a.Unknown != "" {
		words = append(words, "(perhaps only some: "+a.Unknown+")")
	}
	return strings.Join(words, " ")
}
