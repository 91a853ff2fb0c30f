package services

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

func node(config *facts.ProxyConfig, mode string) *facts.Snapshot {
	s := &facts.Snapshot{Node: facts.Node{Name: "host.example"}, Kinds: []facts.Kind{facts.KindAddresses, facts.KindLinks}, Proxy: &facts.Proxy{Mode: mode, Config: config}}
	s.Host.Links = []facts.Link{{Index: 1, Name: "lo"}, {Index: 2, Name: "eth0"}, {Index: 9, Name: DummyLink}}
	for link, list := range map[int][]string{1: {"127.0.0.1/8", "::1/128"}, 2: {"192.0.2.1/24", "192.0.2.2/24", "fe80::1/64", "2001:db8::1/64"}, 9: {"10.96.0.1/32"}} {
		for _, text := range list {
			s.Host.Addresses = append(s.Host.Addresses, facts.Address{Link: link, Prefix: netip.MustParsePrefix(text)})
		}
	}
	s.Intent.Cluster = &facts.Cluster{Node: &facts.ClusterNode{Name: "node1", Zone: "z1", Addresses: addrs("192.0.2.1", "2001:db8::1"), PodCIDRs: prefixes("10.244.1.0/24")}}
	return s
}

func TestOptionsOf(t *testing.T) {
	no := false
	for _, tt := range []struct {
		name  string
		s     *facts.Snapshot
		scope []facts.NodePortScope
		knows [2]bool
	}{
		{"iptables, defaults", node(&facts.ProxyConfig{}, facts.ModeIPTables), []facts.NodePortScope{{Family: 4, All: true, Loopback: true}, {Family: 6, All: true}}, [2]bool{}},
		{"nftables, defaults", node(&facts.ProxyConfig{ClusterCIDRs: prefixes("10.244.0.0/16")}, facts.ModeNFTables),
			[]facts.NodePortScope{{Family: 4, Addresses: addrs("192.0.2.1")}, {Family: 6, Addresses: addrs("2001:db8::1")}}, [2]bool{true, false}},
		{"some addresses", node(&facts.ProxyConfig{NodePortAddresses: []string{"192.0.2.0/24"}, DetectLocal: "NodeCIDR"}, facts.ModeIPTables),
			[]facts.NodePortScope{{Family: 4, Addresses: addrs("192.0.2.1", "192.0.2.2")}, {Family: 6, All: true}}, [2]bool{true, false}},
		{"not at loopback addresses, pods by their links", node(&facts.ProxyConfig{LocalhostNodePorts: &no, DetectLocal: "InterfaceNamePrefix", DetectLocalLink: "veth"}, facts.ModeIPTables),
			[]facts.NodePortScope{{Family: 4, All: true}, {Family: 6, All: true}}, [2]bool{true, true}},
		{"nothing told", node(nil, facts.ModeIPTables), nil, [2]bool{}},
		{"IPVS has virtual servers instead", node(&facts.ProxyConfig{}, facts.ModeIPVS), nil, [2]bool{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := OptionsOf(tt.s)
			if o.Node != "node1" || o.Zone != "z1" || o.V4.NodeIP != netip.MustParseAddr("192.0.2.1") {
				t.Errorf("OptionsOf: node %q in zone %q with address %s", o.Node, o.Zone, o.V4.NodeIP)
			}
			if d := cmp.Diff(addrs("192.0.2.1", "192.0.2.2"), o.V4.Addresses, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Errorf("OptionsOf: addresses (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.scope, Want(tt.s.Intent.Cluster, o).Rules.NodePorts, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Errorf("node ports (-want +got):\n%s", d)
			}
			if got := [2]bool{o.V4.KnowsPods, o.V6.KnowsPods}; got != tt.knows {
				t.Errorf("knows pods: %v; want %v", got, tt.knows)
			}
		})
	}
	s := node(&facts.ProxyConfig{}, facts.ModeIPTables)
	s.Intent.Cluster.Node = nil
	if o := OptionsOf(s); !o.Doubts.Node || !o.Doubts.Zone || !o.Doubts.NodeIP || o.Node != "host.example" {
		t.Errorf("OptionsOf without a Node: %+v", o)
	}
	s.Intent.Cluster.Slices = []facts.EndpointSlice{{Endpoints: []facts.Endpoint{{Node: "host.example"}}}}
	if o := OptionsOf(s); o.Doubts.Node {
		t.Error("OptionsOf: the node's name is in doubt though an endpoint has it")
	}
}
