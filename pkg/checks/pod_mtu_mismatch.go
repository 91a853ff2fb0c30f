package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// vlanRoom is by how much a frame may exceed a link's MTU and still be taken: is_skb_forwardable of net/core/dev.c leaves room for a VLAN header.
const vlanRoom = 4

// PodMTUMismatch finds pods whose MTU does not fit their way out.
var PodMTUMismatch = &check.Check{
	Name:  "pod-mtu-mismatch",
	Title: "A pod's MTU does not fit its link to the node or the tunnel",
	Since: "v0.1.0",
	Doc: markdown(`
A pod's interface, the node's end of it and the tunnel to other nodes should agree about the largest packet.

**How it is seen.** Pods answer ping and short requests, and hang on large ones. Where the two ends of the pod's link differ, ~tx_dropped~ of
the node's end (~ip -s link~) rises with every large packet and nobody is told. Where the pod has more than the tunnel, the node answers large
packets with "fragmentation needed"; a network policy or firewall that drops this ICMP makes a black hole of it.

**Why.** A veth passes frames of up to its peer's MTU and 4 bytes, and drops larger ones without a word (~is_skb_forwardable~): a link drops, it
does not fragment. This was measured on 6.18: with 1500 in the pod and 1400 on the node's end, packets of 1404 bytes pass and of 1405 are lost.

Critical: the pod sends more than the node's end takes. Warning: the node's end sends more than the pod takes, or the pod has more than the
tunnel. A pod of 1500 behind a tunnel of 1300 was measured too: the node's answer lowers the path MTU and TCP goes on, so nothing is lost by
that alone. Warning, too: the CNI's configuration gives new pods more than the tunnel carries, as flannel does over IPv6, where it publishes
1450 and the kernel clamps the device to 1430. Info: the same on a node of both IP versions, where the IPv4 tunnel carries it.

**Fix.** Set both ends of the pod's link to the smallest of the three; undo sets the old numbers. It takes effect at once and is gone with the
pod, so correct the CNI's configuration first, and it is best done while the pod is made.

**Cost.** Smaller packets: a few percent more headers for this pod.

**No fault.** Only links of the CNI are judged: those with an address of a pod CIDR, those on the CNI's bridge, and while a pod
is made those of its result; a docker0 container of 1500
beside a flannel of 1450 is not. A smaller MTU on the pod's default route counts as the pod's. An MTU smaller than necessary loses nothing. A
bridge with a smaller MTU than its pods is none either: a bridge checks it only for what the node itself sends.
`),
	Needs:    []facts.Kind{facts.KindPods, facts.KindPodLinks},
	Wants:    []facts.Kind{facts.KindTunnels, facts.KindAddresses, facts.KindRoutes, facts.KindCNIConfig},
	Pods:     true,
	Severity: check.Critical,
	Settle:   10 * time.Second,
	Run: func(s *facts.Snapshot) []check.Finding {
		tunnel := podTunnel(s)
		var out []check.Finding
		if f, found := configuredMTU(s, tunnel); found {
			out = append(out, f)
		}
		for i := range s.Host.Links {
			outer := &s.Host.Links[i]
			pod, inner := podOf(s, outer)
			if inner == nil || !s.PodHas(pod, facts.KindPodLinks) {
				continue
			}
			way := tunnel
			if !linkOfCNI(s, outer, pod, inner) {
				if pod.Result == nil || !pod.Result.HasLink(inner.Name) {
					continue
				}
				way = nil // a second network's, which has nothing to do with the cluster's tunnel
			}
			if f, found := podMTU(s, pairOf(s, outer, pod, inner), way); found {
				out = append(out, f)
			}
		}
		return out
	},
}

// podCIDRs are the prefixes of the cluster's pods, as far as they are known.
func podCIDRs(s *facts.Snapshot) []netip.Prefix {
	out := append(slices.Clone(s.Intent.PodCIDRs), s.Intent.NodePodCIDR...)
	if s.CNI != nil && s.CNI.Flannel != nil && s.CNI.Flannel.Network.IsValid() {
		out = append(out, s.CNI.Flannel.Network, s.CNI.Flannel.IPv6Network)
	}
	return slices.DeleteFunc(out, func(p netip.Prefix) bool { return !p.IsValid() || p.Bits() == 0 })
}

// podTunnel is the tunnel with the smallest MTU that routes to pods of other nodes lead into; nil where there is none. A VPN beside it is not asked.
func podTunnel(s *facts.Snapshot) (narrowest *facts.Link) {
	for _, l := range podTunnels(s) {
		if narrowest == nil || l.MTU < narrowest.MTU {
			narrowest = l
		}
	}
	return narrowest
}

// podTunnels are the tunnels that routes to pods of other nodes lead into, each as often as it has routes.
func podTunnels(s *facts.Snapshot) (out []*facts.Link) {
	cidrs := podCIDRs(s)
	for _, r := range s.Host.Routes {
		l := s.Host.Link(r.Link)
		if l == nil || !tunnelUp(l) || !r.Dst.IsValid() || r.Dst.Bits() == 0 || r.Table != facts.TableMain {
			continue
		}
		if cniTunnel(l) || insideAny(r.Dst, cidrs) {
			out = append(out, l)
		}
	}
	return out
}

// dualStackMTU says whether an MTU that is too large for a tunnel is flannel's on a node of both IP versions: it reckons with the headers of IPv4, which are
// 20 bytes smaller, and the IPv4 tunnel beside this one carries it.
func dualStackMTU(s *facts.Snapshot, tunnel *facts.Link, mtu int) bool {
	return outerV6(&s.Host, tunnel) && mtu <= tunnel.MTU+20 && slices.ContainsFunc(podTunnels(s), func(l *facts.Link) bool {
		return !outerV6(&s.Host, l) && l.MTU >= mtu
	})
}

// linkOfCNI says whether a pod's link was made by the CNI and carries the pod network.
func linkOfCNI(s *facts.Snapshot, outer *facts.Link, pod *facts.Namespace, inner *facts.Link) bool {
	if bridge := s.Host.Link(outer.Master); bridge != nil && cniBridge(s, bridge) {
		return true
	}
	cidrs := podCIDRs(s)
	for _, a := range pod.Addresses {
		if a.Link == inner.Index && a.Prefix.IsValid() && slices.ContainsFunc(cidrs, func(c netip.Prefix) bool { return c.Contains(a.Prefix.Addr()) }) {
			return true
		}
	}
	return false
}

// vethPair is a pod's link with what each end sends at most.
type vethPair struct {
	pod                 *facts.Namespace
	inner, outer        *facts.Link
	podSends, nodeSends int // the end's MTU, or less where the pod's default route or the node's bridge says so
}

func pairOf(s *facts.Snapshot, outer *facts.Link, pod *facts.Namespace, inner *facts.Link) vethPair {
	p := vethPair{pod: pod, inner: inner, outer: outer, podSends: inner.MTU, nodeSends: outer.MTU}
	for _, r := range pod.Routes {
		if r.Dst.IsValid() && r.Dst.Bits() == 0 && r.Link == inner.Index && r.MTU > 0 && r.MTU < p.podSends {
			p.podSends = r.MTU
		}
	}
	if bridge := s.Host.Link(outer.Master); bridge != nil && bridge.Kind == "bridge" && bridge.MTU < p.nodeSends {
		p.nodeSends = bridge.MTU
	}
	return p
}

func podMTU(s *facts.Snapshot, p vethPair, tunnel *facts.Link) (check.Finding, bool) {
	f := check.Finding{Severity: check.Warning, On: p.pod.Ref(p.inner)}
	fits := min(p.inner.MTU, p.outer.MTU)
	if tunnel != nil {
		fits = min(fits, tunnel.MTU)
	}
	switch {
	case p.podSends > p.outer.MTU+vlanRoom:
		f.Severity = check.Critical
		f.Message = fmt.Sprintf("the pod sends packets of up to %d, but the node's end %s takes %d: larger ones are dropped without an answer", p.podSends, p.outer.Name, p.outer.MTU)
	case p.nodeSends > p.inner.MTU+vlanRoom:
		f.Message = fmt.Sprintf("the node's end %s sends packets of up to %d, but the pod takes %d: larger ones are dropped without an answer", p.outer.Name, p.nodeSends, p.inner.MTU)
	case tunnel != nil && p.podSends > tunnel.MTU:
		f.Message = fmt.Sprintf("the pod sends packets of up to %d, but the tunnel %s carries %d: large ones depend on ICMP to get through", p.podSends, tunnel.Name, tunnel.MTU)
		if dualStackMTU(s, tunnel, p.podSends) {
			f.Severity = check.Info
		}
	default:
		return f, false
	}
	for _, l := range []*facts.Link{p.inner, p.outer} {
		e := check.Evidence{Fact: "MTU of " + l.Name, Got: fmt.Sprint(l.MTU)}
		if l.MTU != fits {
			e.Want = fmt.Sprint(fits)
		}
		f.Evidence = append(f.Evidence, e)
	}
	if tunnel != nil {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "MTU of " + tunnel.Name, Got: fmt.Sprint(tunnel.MTU)})
	}
	if d := p.outer.DeltaTx; d != nil && *d > 0 {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "packets that " + p.outer.Name + " dropped", Got: risen(s, *d), Want: "+0"})
	}
	if fits > 0 {
		f.Fixes = []fix.Fix{lowerPair(s, p, fits)}
	}
	return f, true
}

// lowerPair sets both ends to one MTU. The larger first, so that at no moment one end sends what the other drops more than before.
func lowerPair(s *facts.Snapshot, p vethPair, mtu int) fix.Fix {
	x := fix.Fix{
		Title: fmt.Sprintf("set both ends of the pod's link to MTU %d, until the pod is made again with the right one", mtu),
		Cost:  "smaller packets for this pod; the bridge may follow the node's end down",
	}
	type end struct {
		l  *facts.Link
		on facts.Ref
	}
	ends := []end{{p.inner, p.pod.Ref(p.inner)}, {p.outer, s.Host.Ref(p.outer)}}
	if p.outer.MTU > p.inner.MTU {
		slices.Reverse(ends)
	}
	for _, e := range ends {
		if e.l.MTU != mtu {
			x.Changes = append(x.Changes, fix.Change{Knob: fix.LinkMTU, On: e.on, From: fmt.Sprint(e.l.MTU), To: fmt.Sprint(mtu)})
		}
	}
	return x
}
