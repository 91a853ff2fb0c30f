package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// DuplicateIPLocal finds an address that two holders on this node have.
var DuplicateIPLocal = &check.Check{
	Name:  "duplicate-ip-local",
	Title: "Two links or pods of this node have the same address",
	Since: "v0.1.0",
	Doc: markdown(`
The kernel refuses a second copy of an address on one link only. On another link, in another pod, or as the target of another host route it
takes it without a word, and then packets for the address go to one of the two: to the route that was made first, or to whoever answers ARP
last.

**How it is seen.** A pod or the node is reachable now and then, or from some places only; answers come from the wrong machine; an established
connection is reset. Restarting one of the two seems to mend it.

**What is compared**

- addresses of the node's own links. Two links with ~10.88.0.1/16~ give two connected routes, and only the first is used. Critical where both
  are up, a warning where one is down: its route is gone until it comes up, but the address stays local.
- pods that are wired to this node by a veth, on one bridge or by routes: the same address twice, or an address of the node itself. Critical.
- host routes ("/32", "/128") of one table and metric to the same address by different links, one of which leads to a pod. Critical.
- the route to a pod that is wired to this node: another link has a route to its address that the kernel prefers to the pod's own. Critical.
- while a pod is made: host-local's reservation of its address, which another container holds. Critical.
- reservations of host-local: the same address in two networks that are configured on the same bridge. A warning: nobody has both yet, or it
  would be listed above.

**Fix.** By hand, for only a person knows who is wrong. Usual reasons: a second CNI or container runtime with the same default network, a
bridge that was given the address of the NIC below it while the NIC kept it, a reservation that was deleted while its pod lived, a restored
or cloned ~/var/lib/cni~. Delete the pod that came last, or take the address off the link that should not have it. Undo: add it again.

**When it is no fault.** Service addresses on kube-ipvs0 or another dummy, anycast on the loopback, a /32 or /128 that is repeated on many links
(ptp plugin, calico, unnumbered links), virtual addresses on macvlans (keepalived, kube-vip), links in different VRFs, a gateway that several
NICs have by DHCP, ports of Open vSwitch, different bridges that the node has no address on (isolated networks), 127/8, 169.254/16 and
fe80::/10. The same address on another machine is not seen here.
`),
	Needs:    []facts.Kind{facts.KindPodLinks, facts.KindAddresses},
	Wants:    []facts.Kind{facts.KindLinks, facts.KindPods, facts.KindRoutes, facts.KindCNIConfig, facts.KindIPAM},
	Pods:     true,
	Severity: check.Critical,
	Run:      runDuplicateIPLocal,
}

// duplicate is one address with those who have it.
type duplicate struct {
	severity check.Severity
	what     string
	evidence []check.Evidence
	advice   []string
}

func runDuplicateIPLocal(s *facts.Snapshot) []check.Finding {
	found := map[netip.Addr]*duplicate{}
	twiceOnHost(s, found)
	twiceInPods(s, found)
	twiceRouted(s, found)
	routedElsewhere(s, found)
	twiceReserved(s, found)
	reservedForAnother(s, found)
	addrs := make([]netip.Addr, 0, len(found))
	for a := range found {
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	var out []check.Finding
	for _, a := range addrs {
		d := found[a]
		out = append(out, check.Finding{
			Severity: d.severity,
			On:       facts.Ref{NetNS: s.Host.Inode, Name: a.String()},
			Message:  a.String() + " " + d.what,
			Evidence: d.evidence,
			Fixes:    []fix.Fix{{Title: "find out who owns " + a.String() + ", and take it from the other", Advice: d.advice}},
		})
	}
	return out
}

// report adds to what is known of an address; the first and worst gives the message.
func report(found map[netip.Addr]*duplicate, a netip.Addr, d duplicate) {
	old := found[a]
	if old == nil {
		found[a] = &d
		return
	}
	old.severity = max(old.severity, d.severity)
	old.evidence = append(old.evidence, d.evidence...)
	old.advice = append(old.advice, d.advice...)
}

// meeting is where two that have one address meet: in a VRF, on a bridge, in a routing table.
type meeting struct {
	addr          netip.Addr
	domain        int
	table, metric int
}

// groups holds what meets, in the order of its first member.
type groups[T any] struct {
	order   []meeting
	members map[meeting][]T
}

func (g *groups[T]) add(at meeting, member T) {
	if g.members == nil {
		g.members = map[meeting][]T{}
	}
	if g.members[at] == nil {
		g.order = append(g.order, at)
	}
	g.members[at] = append(g.members[at], member)
}

// holder is a link that has an address.
type holder struct {
	ns     *facts.Namespace
	link   *facts.Link
	prefix netip.Prefix
	end    *facts.Link // the node's end of a pod's link
}

func (h holder) evidence(where string) check.Evidence {
	return check.Evidence{Fact: h.prefix.String(), Got: "on " + h.link.Name + " " + where}
}

// twiceOnHost compares the node's own links.
func twiceOnHost(s *facts.Snapshot, found map[netip.Addr]*duplicate) {
	var at groups[holder]
	for _, a := range s.Host.Addresses {
		l := s.Host.Link(a.Link)
		if l == nil || bearsOthers(l) || a.Prefix.IsSingleIP() || a.Peer.IsValid() || !ownedByOne(a.Prefix.Addr()) || a.Scope != "global" {
			continue
		}
		at.add(meeting{addr: a.Prefix.Addr(), domain: vrf(&s.Host, l)}, holder{ns: &s.Host, link: l, prefix: a.Prefix})
	}
	for _, k := range at.order {
		hs := at.members[k]
		if len(hs) < 2 {
			continue
		}
		up, d := 0, duplicate{severity: check.Warning}
		var names []string
		for _, h := range hs {
			state := "(down)"
			if h.link.Up {
				up++
				state = "(up)"
			}
			names = append(names, h.link.Name)
			d.evidence = append(d.evidence, h.evidence(state))
			d.advice = append(d.advice, fix.Shell(&s.Host, "ip", "addr", "del", h.prefix.String(), "dev", h.link.Name)+"  # if this is the one that should not have it")
		}
		if up == 0 {
			continue
		}
		d.what = fmt.Sprintf("is on %s: packets go by the first one's route alone", strings.Join(names, " and "))
		if up > 1 {
			d.severity = check.Critical
		} else {
			d.what = fmt.Sprintf("is on %s, of which one is up", strings.Join(names, " and "))
		}
		report(found, k.addr, d)
	}
}

// bearsOthers tells the links that carry addresses which other links or nodes have too: Services', anycast and virtual ones.
func bearsOthers(l *facts.Link) bool {
	return l.Loopback || l.Kind == "dummy" || l.Kind == "macvlan" || l.Kind == "ipvlan" || l.Name == "kube-ipvs0"
}

// ownedByOne leaves out the addresses that each link or namespace has for itself.
func ownedByOne(a netip.Addr) bool {
	return a.IsValid() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsMulticast() && !a.IsUnspecified()
}

// vrf is the index of the VRF that a link belongs to, 0 for none: each has its own routing tables.
func vrf(ns *facts.Namespace, l *facts.Link) int {
	for range 3 { // port, bridge or bond, VRF
		l = ns.Link(l.Master)
		if l == nil {
			return 0
		}
		if l.Kind == "vrf" {
			return l.Index
		}
	}
	return 0
}

// twiceReserved compares the reservations of networks that share a bridge. A directory that no configuration uses is left over, not used.
func twiceReserved(s *facts.Snapshot, found map[netip.Addr]*duplicate) {
	if s.IPAM == nil || s.CNI == nil {
		return
	}
	type entry struct{ bridge, file string }
	var at groups[entry]
	for _, n := range s.IPAM.Networks {
		bridge := bridgeOf(s.CNI, n.Name)
		if bridge == "" {
			continue
		}
		for _, r := range n.Reservations {
			at.add(meeting{addr: r.IP}, entry{bridge, n.Dir + "/" + r.IP.String() + " holds " + r.ID})
		}
	}
	for _, k := range at.order {
		es := at.members[k]
		d := duplicate{severity: check.Warning, what: "is reserved twice on bridge " + es[0].bridge}
		for _, e := range es {
			if e.bridge == es[0].bridge {
				d.evidence = append(d.evidence, check.Evidence{Fact: "reservation", Got: e.file})
			}
		}
		if len(d.evidence) > 1 && ownedByOne(k.addr) {
			d.advice = []string{"give each network a range of its own: two names mean two directories, and host-local does not compare them"}
			report(found, k.addr, d)
		}
	}
}

// bridgeOf is the bridge of the configured network of that name; empty where there is none.
func bridgeOf(c *facts.CNI, network string) string {
	for _, f := range c.Files {
		if f.Error != "" || f.Network != network {
			continue
		}
		for _, p := range f.Plugins {
			if p.Bridge != "" {
				return p.Bridge
			}
		}
	}
	return ""
}
