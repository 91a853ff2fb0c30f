package services

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// Options is what, beside the cluster, decides about a node's ways: kube-proxy's mode and configuration, and the node itself.
type Options struct {
	Mode          string // one of the modes of package facts
	Node          string // this node's name, by which endpoints say that they are on it; empty where unknown
	Zone          string // its zone; empty for none
	MasqueradeAll bool
	Scheduler     string // IPVS; empty where it does not matter
	V4, V6        FamilyOptions
	// Doubts are what is not known, each with the ways about which therefore nothing is said.
	Doubts Doubts
}

// FamilyOptions is what differs between IPv4 and IPv6.
type FamilyOptions struct {
	NodeIP    netip.Addr     // kube-proxy's node IP; zero where the node has none of the family
	KnowsPods bool           // kube-proxy can tell connections of pods (its detectLocalMode has what it needs in this family)
	NodePorts []netip.Prefix // where node ports are served; nil: at every address
	Loopback  bool           // and at loopback addresses
	Addresses []netip.Addr   // the node's own, without those of kube-ipvs0, loopback and link-local ones of IPv6: where IPVS serves node ports
}

// Doubts says what is not known of a node.
type Doubts struct {
	Node       bool // its name: which endpoints are local, which hints are for it
	Zone       bool // its zone
	Masquerade bool // whom kube-proxy masquerades
	NodePorts  bool // at which addresses it serves node ports
	NodeIP     bool // whether a load balancer's source ranges include the node
}

func (o *Options) family(version int) *FamilyOptions {
	if version == 4 {
		return &o.V4
	}
	return &o.V6
}

// OptionsOf takes what decides from a snapshot: kube-proxy's configuration as it told it, the Node object, and the node's addresses. What it does not find is in
// Doubts.
func OptionsOf(s *facts.Snapshot) Options {
	o := Options{Node: s.Node.Name}
	if s.Proxy != nil {
		o.Mode = s.Proxy.Mode
	}
	if s.ServiceRules != nil && s.ServiceRules.Mode != "" {
		o.Mode = s.ServiceRules.Mode
	}
	var config *facts.ProxyConfig
	if s.Proxy != nil {
		config = s.Proxy.Config
	}
	if config != nil && config.NodeName != "" {
		o.Node = config.NodeName
	}
	var node *facts.ClusterNode
	if c := s.Intent.Cluster; c != nil {
		node = c.Node
		o.Doubts.Node = node == nil && !names(c, o.Node)
	}
	o.Doubts.Zone = node == nil
	if node != nil {
		o.Node, o.Zone = node.Name, node.Zone
	}
	o.nodeIPs(node, config)
	o.configured(node, config)
	o.ownAddresses(s)
	return o
}

// names says whether any endpoint is on a node of that name: else the name is perhaps not the one by which the cluster knows this node.
func names(c *facts.Cluster, node string) bool {
	return node != "" && slices.ContainsFunc(c.Slices, func(s facts.EndpointSlice) bool {
		return slices.ContainsFunc(s.Endpoints, func(e facts.Endpoint) bool { return e.Node == node })
	})
}

// nodeIPs is detectNodeIPs of cmd/kube-proxy/app/server.go.
func (o *Options) nodeIPs(node *facts.ClusterNode, config *facts.ProxyConfig) {
	o.Doubts.NodeIP = node == nil || config == nil
	if node != nil {
		for _, a := range node.Addresses {
			if f := o.family(version(a)); !f.NodeIP.IsValid() {
				f.NodeIP = a
			}
		}
	}
	if config != nil && config.BindAddress.IsValid() && !config.BindAddress.IsUnspecified() {
		o.family(version(config.BindAddress)).NodeIP = config.BindAddress.Unmap()
	}
}

// configured takes what kube-proxy was told; without that only the defaults of its mode are known, and kubeadm's configuration differs from them.
func (o *Options) configured(node *facts.ClusterNode, config *facts.ProxyConfig) {
	if config == nil {
		o.Doubts.Masquerade, o.Doubts.NodePorts = true, true
		return
	}
	o.MasqueradeAll, o.Scheduler = config.MasqueradeAll, config.Scheduler
	for _, family := range []int{4, 6} {
		f := o.family(family)
		switch config.DetectLocal {
		case "", "ClusterCIDR":
			f.KnowsPods = slices.ContainsFunc(config.ClusterCIDRs, func(p netip.Prefix) bool { return version(p.Addr()) == family })
		case "NodeCIDR":
			f.KnowsPods = node != nil && slices.ContainsFunc(node.PodCIDRs, func(p netip.Prefix) bool { return version(p.Addr()) == family })
			o.Doubts.Masquerade = o.Doubts.Masquerade || node == nil
		case "BridgeInterface", "InterfaceNamePrefix":
			f.KnowsPods = true
		}
		f.NodePorts = nodePortPrefixes(o, family, config.NodePortAddresses)
		f.Loopback = family == 4 && o.Mode == facts.ModeIPTables && (config.LocalhostNodePorts == nil || *config.LocalhostNodePorts) && servesLoopback(f.NodePorts)
	}
}

// servesLoopback is NewNodePortAddresses' containsIPv4Loopback (util/nodeport_addresses.go).
func servesLoopback(prefixes []netip.Prefix) bool {
	return prefixes == nil || slices.ContainsFunc(prefixes, func(p netip.Prefix) bool {
		return p.Addr().IsLoopback() || p.Contains(netip.AddrFrom4([4]byte{127, 0, 0, 0}))
	})
}

// nodePortPrefixes is NewNodePortAddresses, after newProxyServer has replaced "primary", which is nftables mode's default, by the node's IPs. A family
// without a prefix is served at all addresses.
func nodePortPrefixes(o *Options, family int, configured []string) []netip.Prefix {
	if len(configured) == 0 && o.Mode == facts.ModeNFTables || len(configured) == 1 && configured[0] == "primary" {
		ip := o.family(family).NodeIP
		if !ip.IsValid() || ip.IsLoopback() {
			return nil
		}
		return []netip.Prefix{netip.PrefixFrom(ip, ip.BitLen())}
	}
	var out []netip.Prefix
	for _, text := range configured {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		switch {
		case err != nil || version(p.Addr()) != family:
		case p.Bits() == 0:
			return nil
		default:
			out = append(out, p.Masked())
		}
	}
	return out
}

// ownAddresses is GetAllLocalAddressesExcept(kube-ipvs0) of ipvs/netlink_linux.go.
func (o *Options) ownAddresses(s *facts.Snapshot) {
	if !s.Has(facts.KindAddresses) || !s.Has(facts.KindLinks) {
		o.Doubts.NodePorts = true
		return
	}
	dummy := 0
	if l := s.Host.LinkNamed(DummyLink); l != nil {
		dummy = l.Index
	}
	for _, a := range s.Host.Addresses {
		ip := a.Prefix.Addr().Unmap()
		if a.Link == dummy && dummy != 0 || ip.IsLoopback() || ip.Is6() && ip.IsLinkLocalUnicast() {
			continue
		}
		f := o.family(version(ip))
		if !slices.Contains(f.Addresses, ip) {
			f.Addresses = append(f.Addresses, ip)
		}
	}
}

func version(a netip.Addr) int {
	if a.Unmap().Is4() {
		return 4
	}
	return 6
}
