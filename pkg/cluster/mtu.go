package cluster

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/nodereport"
)

// MTU finds packets that one node may send and another cannot take.
var MTU = &Check{
	Name:     "cluster-mtu",
	Title:    "Nodes of one tunnel network have different MTUs",
	Since:    since,
	Severity: check.Warning,
	Needs:    []Source{Reports},
	Doc: `
A tunnel's packet is as large as the sender's MTU allows. Where the link of the receiver is smaller, nobody between two switches can say so: the packet is gone.
TCP is mostly spared, because each side tells how much it takes; UDP, such as large DNS answers and QUIC, and what clients of other MTUs send, is not.

**How it is seen.** ~ping -M do -s 1422 POD~ has no answer from one node and has from another; large answers over UDP are lost between some nodes only.

**What is judged.** Tunnels of the same kind, identifier and port, between all nodes that report:

- a tunnel's MTU with its outer headers, or the MTU of a node's pods, does not fit the smallest uplink of the others: a warning
- a node's pods have a larger MTU than the smallest tunnel of the others: a warning
- the MTUs differ, and all of it fits everywhere: info

**Fix.** The same MTU on all nodes: that of the smallest uplink without the outer headers.

**When it is no fault.** Uplinks that differ under tunnels that fit all of them. Tunnels whose identifier is given packet by packet (Cilium, Open vSwitch) have the
MTU of the uplink, and their routes a smaller one, which no report has: they are only compared. Whether a path MTU is found across a router is not known here.
`,
	partial: linksOmitted,
	run:     runMTU,
}

// overheads are the outer headers, over IPv4 and IPv6 (drivers/net/vxlan: VXLAN_HEADROOM and VXLAN6_HEADROOM; geneve without options; net/ipv4/ipip.c,
// net/ipv4/ip_gre.c, net/ipv6/ip6_tunnel.c without the encapsulation limit; drivers/net/wireguard, without padding).
var overheads = map[string][2]int{
	"vxlan": {50, 70}, "geneve": {50, 70}, "ipip": {20, 0}, "sit": {20, 0}, "gre": {24, 0}, "gretap": {38, 0}, "ip6tnl": {0, 40}, "ip6gre": {0, 44}, "wireguard": {60, 80},
}

// mtuEnd is one node's end of a tunnel network.
type mtuEnd struct {
	node         string
	name         string
	mtu          int
	outer        int // mtu with outer headers; 0: unknown, or given packet by packet
	uplink       int // MTU of the link under it; 0: unknown
	pods         int // the largest MTU of its pods; 0: none
	underlayName string
}

type tunnelNetwork struct {
	kind string
	id   uint32
	port uint16
}

func runMTU(v *view) (out []Finding) {
	var g groups[tunnelNetwork, mtuEnd]
	for _, r := range v.current {
		for i := range r.Status.Network.Tunnels {
			if t := &r.Status.Network.Tunnels[i]; t.MTU > 0 {
				g.add(tunnelNetwork{t.Kind, t.ID, t.Port}, newMTUEnd(r, t))
			}
		}
	}
	for _, k := range g.order {
		if f, ok := differs(k, g.of[k]); ok {
			out = append(out, f)
		}
	}
	return out
}

func newMTUEnd(r *nodereport.Report, t *nodereport.Tunnel) mtuEnd {
	e := mtuEnd{node: r.Metadata.Name, name: t.Name, mtu: t.MTU}
	byPacket := t.ID == 0 && (t.Kind == "vxlan" || t.Kind == "geneve" || t.Kind == "gretap")
	if o, ok := overheads[t.Kind]; ok && !byPacket {
		head := o[0]
		if t.Local.IsValid() && !t.Local.Unmap().Is4() || head == 0 {
			head = o[1]
		}
		e.outer = t.MTU + head
	}
	if u := under(r.Status.Network.Uplinks, t); u != nil {
		e.uplink, e.underlayName = u.MTU, u.Name
	}
	if n := r.Status.Network.PodMTU; len(n) > 0 && !byPacket {
		e.pods = slices.Max(n)
	}
	return e
}

// under is the link that carries a tunnel: by name, by the tunnel's address, or as the only one.
func under(uplinks []nodereport.Uplink, t *nodereport.Tunnel) *nodereport.Uplink {
	for i := range uplinks {
		if u := &uplinks[i]; u.Name == t.Uplink || t.Uplink == "" && slices.ContainsFunc(u.Addresses, func(p netip.Prefix) bool { return p.Addr() == t.Local }) {
			return u
		}
	}
	if t.Uplink == "" && len(uplinks) == 1 {
		return &uplinks[0]
	}
	return nil
}

// smallest finds the least value above zero, of a node other than one.
func smallest(ends []mtuEnd, but string, of func(mtuEnd) int) (e mtuEnd, ok bool) {
	for _, x := range ends {
		if x.node != but && of(x) > 0 && (!ok || of(x) < of(e)) {
			e, ok = x, true
		}
	}
	return e, ok
}

// twoSmallest are the ends of two nodes with the least values: for each node one of them is another's.
func twoSmallest(ends []mtuEnd, of func(mtuEnd) int) (out []mtuEnd) {
	if a, ok := smallest(ends, "", of); ok {
		out = append(out, a)
		if b, ok := smallest(ends, a.node, of); ok {
			out = append(out, b)
		}
	}
	return out
}

// differs judges one tunnel network.
func differs(k tunnelNetwork, ends []mtuEnd) (Finding, bool) {
	uplinks := twoSmallest(ends, func(e mtuEnd) int { return e.uplink })
	tunnels := twoSmallest(ends, func(e mtuEnd) int { return e.mtu })
	var large, nodes []string // what is too large, and whose
	byMTU := map[int][]string{}
	add := func(e mtuEnd, what string) {
		large = append(large, what)
		if !slices.Contains(nodes, e.node) {
			nodes = append(nodes, e.node)
		}
	}
	for _, e := range ends {
		byMTU[e.mtu] = append(byMTU[e.mtu], e.node)
		peer, ok := smallest(uplinks, e.node, func(e mtuEnd) int { return e.uplink })
		if ok && e.outer > peer.uplink && (e.uplink == 0 || e.outer <= e.uplink) { // one that is too large for its own uplink is tunnel-mtu-over-uplink
			add(e, fmt.Sprintf("%s of %s makes packets of %d bytes, and %s of %s takes %d", e.name, e.node, e.outer, peer.underlayName, peer.node, peer.uplink))
			continue
		}
		peer, ok = smallest(tunnels, e.node, func(e mtuEnd) int { return e.mtu })
		if ok && e.pods > peer.mtu && e.pods <= e.mtu { // pods that do not fit their own node's tunnel are pod-mtu-mismatch
			add(e, fmt.Sprintf("pods of %s have MTU %d, and %s of %s has %d", e.node, e.pods, peer.name, peer.node, peer.mtu))
		}
	}
	if len(nodes) == 0 && len(byMTU) < 2 {
		return Finding{}, false
	}
	what := fmt.Sprintf("%s id %d port %d", k.kind, k.id, k.port)
	var f Finding
	if len(nodes) > 0 {
		f = finding(check.Warning, what, nodes, "%s: large packets that are not TCP are lost", large[0])
		for _, what := range large[1:min(len(large), named)] {
			f.prove("also", what, "")
		}
	} else {
		f = finding(check.Info, what, rarest(byMTU), "the MTU of the tunnel network %s differs between nodes, and fits everywhere", what)
	}
	mtus := []int{}
	for m := range byMTU {
		mtus = append(mtus, m)
	}
	slices.Sort(mtus)
	for _, m := range mtus {
		want := ""
		if m > mtus[0] {
			want = fmt.Sprint(mtus[0])
		}
		f.prove(fmt.Sprintf("tunnel MTU %d", m), list(byMTU[m]), want)
	}
	if len(uplinks) > 0 {
		f.prove("smallest uplink", fmt.Sprintf("%d, %s of %s", uplinks[0].uplink, uplinks[0].underlayName, uplinks[0].node), "")
	}
	f.Fixes = []fix.Fix{evenMTU(ends, f.Nodes[0], mtus[0])}
	return f, true
}

func evenMTU(ends []mtuEnd, node string, mtu int) fix.Fix {
	name := ends[slices.IndexFunc(ends, func(e mtuEnd) bool { return e.node == node })].name
	for _, e := range ends {
		if e.outer > 0 && e.uplink > 0 {
			mtu = min(mtu, e.uplink-(e.outer-e.mtu))
		}
	}
	return fix.Fix{Title: fmt.Sprintf("set the MTU of the pod network to %d on all nodes, in the network's configuration", mtu), Cost: "pods get it when they are made anew", Advice: []string{
		fmt.Sprintf("ip link set dev %s mtu %d   # on %s, until the network's agent makes the link anew", word(name), mtu, node),
	}}
}

// rarest are the nodes that have another value than most; all, where no value has more nodes than each other one.
func rarest[K comparable](by map[K][]string) (out []string) {
	most, times := 0, 0
	for _, nodes := range by {
		switch {
		case len(nodes) > most:
			most, times = len(nodes), 1
		case len(nodes) == most:
			times++
		}
	}
	for _, nodes := range by {
		if len(nodes) < most || times > 1 {
			out = append(out, nodes...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
