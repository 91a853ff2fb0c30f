package report

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// busyNode has every sort of device.
func busyNode(pods int) *facts.Snapshot {
	s := flannelNode(pods)
	add := func(l facts.Link) { s.Host.Links = append(s.Host.Links, l) }
	add(facts.Link{Index: 2000, Name: "bond0", Kind: "bond", MTU: 9000, Up: true})
	add(facts.Link{Index: 2001, Name: "enp94s0f0np0", MTU: 9000, Up: true, Master: 2000})
	add(facts.Link{Index: 2002, Name: "bond0.2042", Kind: "vlan", MTU: 9000, Up: true, Parent: 2000})
	add(facts.Link{Index: 2003, Name: "vxlan.calico", Kind: "vxlan", MTU: 8950, Up: true, Parent: 2002, Tunnel: &facts.Tunnel{}})
	add(facts.Link{Index: 2004, Name: "tunl0", Kind: "ipip", MTU: 1480, Tunnel: &facts.Tunnel{}})
	add(facts.Link{Index: 2005, Name: "wg-office-berlin", Kind: "wireguard", MTU: 1420, Up: true})
	add(facts.Link{Index: 2006, Name: "kube-ipvs0", Kind: "dummy", MTU: 1500})
	add(facts.Link{Index: 2007, Name: "br-lan", Kind: "bridge", MTU: 1500, Up: true})
	add(facts.Link{Index: 2008, Name: "eno4", MTU: 1500, Up: true, Master: 2007})
	add(facts.Link{Index: 2009, Name: "circle1", Kind: "vlan", Parent: 2010, Up: true})
	add(facts.Link{Index: 2010, Name: "circle2", Kind: "vlan", Parent: 2009, Up: true})
	for i := range 5 {
		add(facts.Link{Index: 2100 + i, Name: fmt.Sprintf("cali%d", i), Kind: "veth", MTU: 1440, Up: true})
		add(facts.Link{Index: 2200 + i, Name: fmt.Sprintf("ens%d", 2+i), MTU: 1500, Up: i != 1})
	}
	for i := range 6 {
		for link := 2001 + i; link < 2008; link++ {
			s.Host.Addresses = append(s.Host.Addresses, facts.Address{Link: link, Prefix: netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x::%d/64", link, i+1))})
		}
	}
	s.Pods = append(s.Pods, facts.Namespace{Inode: 77, Path: "/run/netns/lone"})
	return s
}

func TestEveryLinkIsPlacedOnce(t *testing.T) {
	s := busyNode(20)
	topology, _ := arrange(documentOf(s, &check.Report{}))
	count := map[int]int{}
	for _, u := range topology.Uplinks {
		for _, d := range u.Devices {
			count[d.Link.Index]++
		}
	}
	for _, d := range topology.Others {
		count[d.Link.Index]++
	}
	pods := 0
	for _, g := range topology.Groups {
		if g.Bridge != nil {
			count[g.Bridge.Link.Index]++
		}
		for _, p := range g.Pods {
			if p.Veth != nil {
				count[p.Veth.Index]++
			}
			if p.NS != nil {
				pods++
			}
		}
	}
	for _, l := range s.Host.Links {
		if count[l.Index] != 1 {
			t.Errorf("%s is in %d places; want 1", l.Name, count[l.Index])
		}
	}
	if pods != len(s.Pods) {
		t.Errorf("%d pods; want %d", pods, len(s.Pods))
	}
}

func TestTunnelsHangFromTheirUplink(t *testing.T) {
	topology, _ := arrange(documentOf(busyNode(0), &check.Report{}))
	var trees []string
	for _, u := range topology.Uplinks {
		var names []string
		for _, d := range u.Devices {
			names = append(names, strings.Repeat(">", d.Depth)+d.Link.Name)
		}
		if len(names) > 1 {
			trees = append(trees, strings.Join(names, " "))
		}
	}
	want := "eth0 >flannel.1; bond0 >enp94s0f0np0 >bond0.2042 >>vxlan.calico; circle1 >circle2"
	if got := strings.Join(trees, "; "); got != want {
		t.Errorf("stacks %q; want %q", got, want)
	}
}

// TestPairs tells the two sorts of pairs apart: the uplink of a node that is itself a namespace, and the node's end of a pod's.
func TestPairs(t *testing.T) {
	address := func(text string) facts.Address { return facts.Address{Link: 2, Prefix: netip.MustParsePrefix(text)} }
	route := func(dst, via string) facts.Route {
		r := facts.Route{Dst: netip.MustParsePrefix(dst), Link: 2}
		if via != "" {
			r.Gateway = netip.MustParseAddr(via)
		}
		return r
	}
	bridge := facts.Link{Index: 5, Name: "br0", Kind: "bridge"}
	for _, tt := range []struct {
		name   string
		kind   string
		master int
		host   facts.Namespace
		want   role
	}{
		{"nothing on it", "veth", 0, facts.Namespace{}, rolePort},
		{"netkit", "netkit", 0, facts.Namespace{}, rolePort},
		{"an address of a LAN", "veth", 0, facts.Namespace{Addresses: []facts.Address{address("192.0.2.1/24")}}, roleUplink},
		{"a gateway behind it", "veth", 0, facts.Namespace{Routes: []facts.Route{route("198.51.100.0/24", "192.0.2.9")}}, roleUplink},
		{"the default route", "veth", 0, facts.Namespace{Routes: []facts.Route{route("0.0.0.0/0", "")}}, roleUplink},
		{"a tunnel on it", "veth", 0, facts.Namespace{Links: []facts.Link{{Index: 9, Name: "t", Kind: "vxlan", Parent: 2, Up: true}}}, roleUplink},
		{"a VLAN on it", "netkit", 0, facts.Namespace{Links: []facts.Link{{Index: 9, Name: "v", Kind: "vlan", Parent: 2, Up: true}}}, roleUplink},
		{"addresses that the ptp plugin gives", "veth", 0, facts.Namespace{Addresses: []facts.Address{address("10.244.1.1/32"), address("fe80::1/64"), address("169.254.1.1/16")}}, rolePort},
		{"a pod's route", "veth", 0, facts.Namespace{Routes: []facts.Route{route("10.244.1.7/32", "")}}, rolePort},
		{"a port of a bridge", "veth", 5, facts.Namespace{Links: []facts.Link{bridge}, Addresses: []facts.Address{address("192.0.2.1/24")}}, rolePort},
		{"a port of a bridge with a tunnel on it", "veth", 5, facts.Namespace{Links: []facts.Link{bridge, {Index: 9, Name: "t", Kind: "vxlan", Parent: 2, Up: true}}}, roleUplink},
		{"both ends here", "veth", 0, facts.Namespace{Links: []facts.Link{{Index: 3, Name: "cilium_net", Kind: "veth", Parent: 2}}}, roleOther},
		{"in a bond", "veth", 5, facts.Namespace{Links: []facts.Link{{Index: 5, Name: "bond0", Kind: "bond"}}}, roleChild},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.host.Links = append(tt.host.Links, facts.Link{Index: 2, Name: "eth0", Kind: tt.kind, Parent: 3, Master: tt.master, Up: true})
			m := newMapper(&facts.Snapshot{Host: tt.host})
			if got := m.role(m.links[2]); got != tt.want {
				t.Errorf("role = %d; want %d", got, tt.want)
			}
		})
	}
}

// TestNodeInANamespace is a node whose uplink is a pair, with two addresses and the tunnel on it.
func TestNodeInANamespace(t *testing.T) {
	s := flannelNode(2)
	nsid := 99
	s.Host.Links[1].Kind, s.Host.Links[1].PeerNSID, s.Host.Links[1].Parent = "veth", &nsid, 2
	s.Host.Addresses = append(s.Host.Addresses, facts.Address{Link: 2, Prefix: netip.MustParsePrefix("fe80::1/64")}, facts.Address{Link: 2, Prefix: netip.MustParsePrefix("192.168.7.228/24")})
	d := documentOf(s, &check.Report{})
	topology, _ := arrange(d)
	if len(topology.Uplinks) != 1 || len(topology.Groups) != 1 {
		t.Fatalf("%d uplinks and %d groups; want one of each: %+v", len(topology.Uplinks), len(topology.Groups), topology)
	}
	stack := topology.Uplinks[0].Devices
	want := device{Link: &s.Host.Links[1], Addresses: []string{"192.168.7.11/24", "192.168.7.228/24"}}
	if diff := cmp.Diff(want, stack[0]); diff != "" || len(stack) != 2 || stack[1].Link.Name != "flannel.1" || stack[1].Depth != 1 {
		t.Errorf("stack %+v, first (-want +got):\n%s", stack, diff)
	}
	for _, shape := range draw(d).Shapes {
		if shape.Tip == "eth0 veth: 192.168.7.11/24 · mtu 1500, 192.168.7.228/24" && len(shape.Texts) == 4 {
			return
		}
	}
	t.Error("no shape has both addresses of eth0")
}

// TestNothingOverlaps measures pictures of a few and of many pods.
func TestNothingOverlaps(t *testing.T) {
	for _, pods := range []int{0, 1, 7, 12, 13, 60, 61, 250, 1000} {
		s := busyNode(pods)
		r := findingsOf(s, pods/3)
		r.Findings = append(r.Findings, check.Finding{Check: "forward-blocked", On: facts.Ref{NetNS: hostInode, Index: 2006, Name: "kube-ipvs0"}})
		p := draw(documentOf(s, r))
		var solid []shape
		for _, b := range p.Shapes {
			if b.X < 0 || b.Y < 0 || b.X+b.W > p.Width || b.Y+b.H > p.Height {
				t.Errorf("%d pods: %q is outside of the picture", pods, b.Tip)
			}
			if !strings.HasPrefix(b.Class, "group") {
				solid = append(solid, b)
			}
		}
		for i, a := range solid {
			for _, b := range solid[:i] {
				if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
					t.Fatalf("%d pods: %q and %q overlap", pods, a.Tip, b.Tip)
				}
			}
		}
	}
}

func TestFaultsAreMarked(t *testing.T) {
	s := flannelNode(40)
	r := findingsOf(s, 3)
	veth := s.Host.Links[len(s.Host.Links)-1]
	r.Findings = append(r.Findings, check.Finding{Check: "pod-mtu-mismatch", Severity: check.Critical, On: s.Host.Ref(&veth)})
	marked := map[string]int{}
	for _, b := range draw(documentOf(s, r)).Shapes {
		if b.Finding >= 0 {
			marked[strings.Fields(b.Class)[0]+" "+strings.Fields(b.Class)[len(strings.Fields(b.Class))-1]]++
		}
	}
	for class, want := range map[string]int{"device critical": 1, "node info": 1, "pod warning": 3, "pod critical": 1} {
		if marked[class] != want {
			t.Errorf("%d shapes are %q; want %d (%v)", marked[class], class, want, marked)
		}
	}
}

// TestSecondLinkOfAPod is not taken for one that leads nowhere.
func TestSecondLinkOfAPod(t *testing.T) {
	s := flannelNode(1)
	s.Host.Links = append(s.Host.Links, facts.Link{Index: 50, Name: "vethnet1", Kind: "veth", Up: true, Parent: 3, PeerNSID: s.Pods[0].NSID})
	for _, shape := range draw(documentOf(s, &check.Report{})).Shapes {
		if shape.Tip == "vethnet1: another link of /run/netns/cni-005f00aa (coredns, pid 4000)" && shape.Texts[1].Text == "of coredns" {
			return
		}
	}
	t.Error("no shape says whose link vethnet1 is")
}

func TestTooMuchToDraw(t *testing.T) {
	s := flannelNode(0)
	if draw(documentOf(s, &check.Report{})) == nil {
		t.Error("draw of a small node = nil; want a picture")
	}
	s.Pods = make([]facts.Namespace, mostDrawn)
	if draw(documentOf(s, &check.Report{})) != nil {
		t.Error("draw of too many namespaces gives a picture; want nil")
	}
}
