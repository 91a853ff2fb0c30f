package report

import (
	"fmt"
	"strings"
	"testing"

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
