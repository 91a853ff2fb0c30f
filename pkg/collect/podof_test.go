package collect

import (
	"net/netip"
	"testing"

	"github.com/netmend/netmend/pkg/facts"
)

// The namespaces of these tests know each other by these numbers.
const (
	podID  = 3 // of the other namespace, as the node sees it
	nodeID = 0 // of the node, as the other sees it
)

func address(link int, prefix string) facts.Address {
	return facts.Address{Link: link, Prefix: netip.MustParsePrefix(prefix)}
}

func defaultRoute(gateway string, link int) facts.Route {
	return facts.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr(gateway), Link: link}
}

// nodeEnd and podEnd are the two ends of a pair.
func nodeEnd(master int) facts.Link {
	return facts.Link{Index: 10, Name: "veth1", Kind: "veth", Parent: 2, PeerNSID: new(podID), Master: master}
}

func podEnd() facts.Link {
	return facts.Link{Index: 2, Name: "eth0", Kind: "veth", Parent: 10, PeerNSID: new(nodeID)}
}

func TestOwns(t *testing.T) {
	uplink := facts.Link{Index: 4, Name: "eth0"}
	bridge := facts.Link{Index: 5, Name: "cni0", Kind: "bridge"}
	for _, tt := range []struct {
		name      string
		node, pod facts.Namespace
		nodeID    *int
		want      bool
	}{
		{
			name: "a bridge plugin's pod",
			node: facts.Namespace{
				Links: []facts.Link{uplink, bridge, nodeEnd(5)}, Addresses: []facts.Address{address(4, "192.0.2.1/24"), address(5, "10.244.0.1/24")},
				Routes: []facts.Route{defaultRoute("192.0.2.254", 4)},
			},
			pod:  facts.Namespace{NSID: new(podID), Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "10.244.0.5/24")}},
			want: true,
		},
		{
			name: "an Open vSwitch pod",
			node: facts.Namespace{Links: []facts.Link{{Index: 5, Name: "ovs-system", Kind: "openvswitch"}, nodeEnd(5)}},
			pod:  facts.Namespace{NSID: new(podID), Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "10.244.0.5/24")}},
			want: true,
		},
		{
			name: "calico's pod",
			node: facts.Namespace{
				Links: []facts.Link{uplink, nodeEnd(0)}, Addresses: []facts.Address{address(10, "fe80::ecee:eeff:feee:eeee/64")},
				Routes: []facts.Route{defaultRoute("192.0.2.254", 4), {Dst: netip.MustParsePrefix("10.244.0.5/32"), Link: 10}},
			},
			pod: facts.Namespace{
				NSID: new(podID), Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "10.244.0.5/32")},
				Routes: []facts.Route{defaultRoute("169.254.1.1", 2)},
			},
			want: true,
		},
		{
			name: "the ptp plugin's pod",
			node: facts.Namespace{
				Links: []facts.Link{uplink, nodeEnd(0)}, Addresses: []facts.Address{address(10, "10.244.0.1/32")},
				Routes: []facts.Route{{Dst: netip.MustParsePrefix("10.244.0.5/32"), Link: 10}},
			},
			pod:  facts.Namespace{NSID: new(podID), Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "10.244.0.5/24")}},
			want: true,
		},
		{
			name: "a pod of IPv6 alone",
			node: facts.Namespace{Links: []facts.Link{uplink, nodeEnd(0)}},
			pod:  facts.Namespace{NSID: new(podID), Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "fd00:10::5/128")}},
			want: true,
		},
		{
			name: "a netkit pod",
			node: facts.Namespace{Links: []facts.Link{{Index: 10, Kind: "netkit", Parent: 2, PeerNSID: new(podID)}}},
			pod: facts.Namespace{
				NSID: new(podID), Links: []facts.Link{{Index: 2, Kind: "netkit", Parent: 10, PeerNSID: new(nodeID)}},
				Addresses: []facts.Address{address(2, "10.0.0.5/32")},
			},
			want: true,
		},
		{
			name: "a macvlan pod",
			node: facts.Namespace{Links: []facts.Link{uplink}, Addresses: []facts.Address{address(4, "192.0.2.1/24")}},
			pod: facts.Namespace{
				Links: []facts.Link{{Index: 2, Kind: "macvlan", Parent: 4, PeerNSID: new(nodeID)}}, Addresses: []facts.Address{address(2, "192.0.2.9/24")},
			},
			nodeID: new(nodeID), want: true,
		},
		{
			name: "a macvlan on a link of a third namespace",
			node: facts.Namespace{Links: []facts.Link{uplink}},
			pod: facts.Namespace{
				Links: []facts.Link{{Index: 2, Kind: "macvlan", Parent: 4, PeerNSID: new(7)}}, Addresses: []facts.Address{address(2, "192.0.2.9/24")},
			},
			nodeID: new(nodeID),
		},
		{
			name: "a macvlan on a link of its own namespace",
			node: facts.Namespace{Links: []facts.Link{uplink}},
			pod: facts.Namespace{
				Links: []facts.Link{{Index: 2, Kind: "macvlan", Parent: 4}, {Index: 4}}, Addresses: []facts.Address{address(2, "192.0.2.9/24")},
			},
			nodeID: new(nodeID),
		},
		{
			name: "another node, joined by a pair",
			node: facts.Namespace{
				Links: []facts.Link{nodeEnd(0)}, Addresses: []facts.Address{address(10, "192.0.2.1/24")},
				Routes: []facts.Route{{Dst: netip.MustParsePrefix("10.244.1.0/24"), Gateway: netip.MustParseAddr("192.0.2.2"), Link: 10}},
			},
			pod: facts.Namespace{NSID: new(podID), Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "192.0.2.2/24")}},
		},
		{
			name: "another node, joined by a pair with IPv6",
			node: facts.Namespace{Links: []facts.Link{nodeEnd(0)}, Addresses: []facts.Address{address(10, "fd00:1::1/64")}},
			pod:  facts.Namespace{NSID: new(podID), Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "fd00:1::2/64")}},
		},
		{
			name: "another node, joined by a pair of link-local addresses and routes through it",
			node: facts.Namespace{
				Links: []facts.Link{nodeEnd(0)}, Addresses: []facts.Address{address(10, "fe80::1/64")},
				Routes: []facts.Route{{Dst: netip.MustParsePrefix("10.244.1.0/24"), NextHops: []facts.NextHop{{Gateway: netip.MustParseAddr("fe80::2"), Link: 10}}}},
			},
			pod: facts.Namespace{NSID: new(podID), Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "10.0.0.2/32")}},
		},
		{
			name: "a router with an address of full length",
			node: facts.Namespace{
				Links: []facts.Link{nodeEnd(0)}, Addresses: []facts.Address{address(10, "192.0.2.1/32")}, Routes: []facts.Route{defaultRoute("192.0.2.254", 10)},
			},
			pod: facts.Namespace{NSID: new(podID), Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "192.0.2.254/32")}},
		},
		{
			name: "a switch: the node's uplink is in a bridge there",
			node: facts.Namespace{Links: []facts.Link{nodeEnd(0)}},
			pod: facts.Namespace{
				NSID:      new(podID),
				Links:     []facts.Link{{Index: 2, Kind: "veth", Parent: 10, PeerNSID: new(nodeID), Master: 3}, {Index: 3, Kind: "bridge"}},
				Addresses: []facts.Address{address(2, "192.0.2.3/24"), address(3, "192.0.2.4/24")},
			},
		},
		{
			name: "a router behind the node's own bridge",
			node: facts.Namespace{
				Links: []facts.Link{bridge, nodeEnd(5)}, Addresses: []facts.Address{address(5, "192.0.2.1/24")}, Routes: []facts.Route{defaultRoute("192.0.2.254", 5)},
			},
			pod: facts.Namespace{NSID: new(podID), Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "192.0.2.254/24")}},
		},
		{
			name: "a pair without addresses",
			node: facts.Namespace{Links: []facts.Link{nodeEnd(0)}},
			pod:  facts.Namespace{NSID: new(podID), Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "fe80::5/64")}},
		},
		{
			name: "a pod of another node: the numbers of the links are the same by chance",
			node: facts.Namespace{Links: []facts.Link{bridge, nodeEnd(5)}},
			pod:  facts.Namespace{NSID: new(podID + 1), Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "10.244.0.5/24")}},
		},
		{
			name: "a namespace that the node has no number for",
			node: facts.Namespace{Links: []facts.Link{bridge, nodeEnd(5)}},
			pod:  facts.Namespace{Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "10.244.0.5/24")}},
		},
		{
			name: "a pair whose other end has moved on",
			node: facts.Namespace{Links: []facts.Link{bridge, {Index: 10, Kind: "veth", Parent: 7, PeerNSID: new(podID), Master: 5}}},
			pod:  facts.Namespace{NSID: new(podID), Links: []facts.Link{podEnd()}, Addresses: []facts.Address{address(2, "10.244.0.5/24")}},
		},
		{name: "a sandbox with nothing but lo", node: facts.Namespace{Links: []facts.Link{uplink}}, pod: facts.Namespace{Links: []facts.Link{{Index: 1, Loopback: true}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := newNodeView(&tt.node).owns(&tt.pod, tt.nodeID); got != tt.want {
				t.Errorf("owns() = %v; want %v", got, tt.want)
			}
		})
	}
}
