package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// VTEPIdentity finds a vxlan whose own address is not one that the node can be known by.
var VTEPIdentity = &check.Check{
	Name:  "vtep-identity",
	Title: "A tunnel sends from an address that is not the node's",
	Since: "v0.1.0",
	Doc: markdown(`
A vxlan device is created with a ~local~ address: the source of its outer packets, and the address that peers put into their forwarding entries.
The kernel does not follow it when the node's addresses change.

**What breaks, and how it is seen.**

- *The address is not on this node any more* (a new DHCP lease, a cloned image, a removed alias). The kernel finds no route from it and drops
  every packet; ~ip -s -s link show flannel.1~ counts ~carrier~ errors (~ip_route_output_key_hash_rcu~ wants a local source). Pods of this node
  reach no pod on another. Critical.
- *A peer's tunnel end is an address of this node.* Both sides registered the same address, mostly that of a NAT interface which all machines
  have alike (10.0.2.15 in VirtualBox). Packets for that peer come back into this node's own tunnel. Critical.
- *The address is a secondary one of its NIC.* Outer packets that are masqueraded leave with the primary one. It is critical where connection
  tracking holds such a packet, a warning where a rule can do it, and only worth knowing where no rule can.
- *It belongs to another NIC than the one the tunnel is bound to*, or is a temporary IPv6 address (RFC 8981), which expires. A warning: peers,
  their firewalls and a cloud's anti-spoofing see a foreign source, or lose it later.

**Fix.** Restart the pod that made the tunnel (flannel, calico-node): it creates the device anew with the address of its interface and tells the
peers. Where it chooses wrongly, tell it: flannel's ~--iface~ or ~--public-ip~, calico's ~IP_AUTODETECTION_METHOD~. Changing the device by ~ip
link set flannel.1 type vxlan local ADDRESS~ works at once and only half: the peers' forwarding entries keep the old address. Undo: the same way
back. Cost: the node's tunnel is gone for a second.

**When it is no fault.** A tunnel that no packet of a pod goes through is only worth knowing: on a router's standby its address may be the
active machine's. A tunnel without an address of its own (cilium, calico's tunl0), one whose outer network is in another namespace, an address
on the loopback or a dummy (routed data centres), a cloud's NAT outside of the node. A secondary address beside a DHCP one is reported once, by
dhcp-static-same-nic on the NIC: that is where it is mended.
`),
	Needs:    []facts.Kind{facts.KindTunnels, facts.KindAddresses},
	Wants:    []facts.Kind{facts.KindFDB, facts.KindTunnelNAT, facts.KindRoutes, facts.KindNFTables, facts.KindLegacy},
	Severity: check.Critical,
	NotApplicable: func(s *facts.Snapshot) string {
		if !slices.ContainsFunc(s.Host.Links, func(l facts.Link) bool { return hasOwnAddress(&l) }) {
			return "no tunnel here has an address of its own"
		}
		return ""
	},
	Run: runVTEPIdentity,
}

// hasOwnAddress tells the tunnels that the check judges. One with a namespace for its outer packets sends them there (IFLA_LINK_NETNSID).
func hasOwnAddress(l *facts.Link) bool {
	return l.Tunnel != nil && (l.Kind == "vxlan" || l.Kind == "ipip") && l.Up && l.PeerNSID == nil && !l.Tunnel.Collect &&
		l.Tunnel.Local.IsValid() && !l.Tunnel.Local.IsUnspecified()
}

func runVTEPIdentity(s *facts.Snapshot) []check.Finding {
	var out []check.Finding
	for i := range s.Host.Links {
		if l := &s.Host.Links[i]; hasOwnAddress(l) {
			if f, ok := judgeVTEP(s, l); ok {
				f.On = s.Host.Ref(l)
				if !carriesPods(s, l) {
					f.Severity = check.Info
				}
				if f.Severity > check.Info {
					f.Fixes = []fix.Fix{recreateTunnel(s, l)}
				}
				out = append(out, f)
			}
		}
	}
	return out
}

// judgeVTEP gives the worst that is wrong with the tunnel's address.
func judgeVTEP(s *facts.Snapshot, l *facts.Link) (check.Finding, bool) {
	ns, local := &s.Host, l.Tunnel.Local.Unmap()
	own := map[netip.Addr]*facts.Address{}
	for i := range ns.Addresses {
		own[ns.Addresses[i].Prefix.Addr()] = &ns.Addresses[i]
	}
	a := own[local]
	if a == nil {
		if r := ns.RouteTo(local, netip.Addr{}); r != nil && r.Type == "local" { // a whole prefix may be local by a route alone
			return check.Finding{}, false
		}
		return check.Finding{
			Severity: check.Critical,
			Message:  fmt.Sprintf("%s sends from %s, which is not an address of this node: the kernel drops every packet of the tunnel", l.Name, local),
			Evidence: []check.Evidence{{Fact: "source address of " + l.Name, Got: local.String(), Want: "an address of this node"}},
		}, true
	}
	for _, e := range ns.FDB {
		if e.Link == l.Index && own[e.Dst.Unmap()] != nil {
			return check.Finding{
				Severity: check.Critical,
				Message:  fmt.Sprintf("a peer of %s is said to be at %s, which is this node itself: its packets come back", l.Name, e.Dst),
				Evidence: []check.Evidence{{Fact: "forwarding entry of " + l.Name, Got: e.MAC + " dst " + e.Dst.String(), Want: "the peer's own address"}},
			}, true
		}
	}
	switch {
	case a.Secondary && local.Is4():
		return secondaryVTEP(s, l, a)
	case a.Secondary:
		return check.Finding{
			Severity: check.Warning,
			Message:  fmt.Sprintf("%s sends from %s, a temporary IPv6 address: when it expires the tunnel has none", l.Name, local),
			Evidence: []check.Evidence{{Fact: "source address of " + l.Name, Got: describeLifetime(a), Want: "an address that stays"}},
		}, true
	}
	return foreignVTEP(ns, l, a)
}

func describeLifetime(a *facts.Address) string {
	if a.Valid == facts.Forever {
		return a.Prefix.String() + " temporary"
	}
	return fmt.Sprintf("%s temporary, valid for %d s", a.Prefix, a.Valid)
}

// secondaryVTEP says nothing where the NIC has a DHCP address beside a static one of that prefix: dhcp-static-same-nic says it on the NIC.
func secondaryVTEP(s *facts.Snapshot, l *facts.Link, a *facts.Address) (check.Finding, bool) {
	ns, local := &s.Host, l.Tunnel.Local.Unmap()
	for _, m := range mixedPrefixes(ns) {
		if m.link.Index == a.Link && m.prefix == a.Prefix.Masked() {
			return check.Finding{}, false
		}
	}
	nic, primary := linkName(ns, a.Link), primaryOf(ns, a)
	f := check.Finding{Evidence: []check.Evidence{{Fact: "source address of " + l.Name, Got: a.Prefix.String() + " secondary", Want: "the primary address of " + nic + ", " + primary}}}
	for _, n := range ns.TunnelNAT {
		if n.Src.Addr().Unmap() == local && n.ReplyDst.Addr().Unmap() != local && (l.Tunnel.Port == 0 || n.Dst.Port() == l.Tunnel.Port) {
			f.Severity = check.Critical
			f.Message = fmt.Sprintf("%s sends from %s, a secondary address of %s, and packets of it leave as %s", l.Name, local, nic, n.ReplyDst.Addr())
			f.Evidence = append(f.Evidence, check.Evidence{Fact: "translated outer packet", Got: fmt.Sprintf("%s to %s left as %s", n.Src, n.Dst, n.ReplyDst), Want: "none"})
			return f, true
		}
	}
	f.Severity = check.Info
	f.Message = fmt.Sprintf("%s sends from %s, a secondary address of %s: harmless as long as nothing masquerades it", l.Name, local, nic)
	if nat := outerTranslation(ns, l); nat != nil {
		f.Severity = check.Warning
		f.Message = fmt.Sprintf("%s sends from %s, a secondary address of %s, and %s", l.Name, local, nic, nat.why)
		f.Evidence = append(f.Evidence, nat.evidence...)
	}
	return f, true
}

// foreignVTEP judges an address on another link than the tunnel's own. On a loopback, dummy or VRF it is the node's on purpose.
func foreignVTEP(ns *facts.Namespace, l *facts.Link, a *facts.Address) (check.Finding, bool) {
	parent, owner := ns.Link(l.Parent), ns.Link(a.Link)
	if parent == nil || owner == nil || owner == parent || owner.Loopback || owner.Kind == "dummy" || owner.Kind == "vrf" || parent.Kind == "vrf" {
		return check.Finding{}, false
	}
	if parent.Master == owner.Index || owner.Master == parent.Index { // a bond or bridge and its port
		return check.Finding{}, false
	}
	return check.Finding{
		Severity: check.Warning,
		Message:  fmt.Sprintf("%s sends by %s with the address %s of %s", l.Name, parent.Name, l.Tunnel.Local, owner.Name),
		Evidence: []check.Evidence{{Fact: "source address of " + l.Name, Got: fmt.Sprintf("%s of %s", a.Prefix, owner.Name), Want: "an address of " + parent.Name}},
	}, true
}

// primaryOf gives the address that masquerading on the same link would use instead of a secondary one.
func primaryOf(ns *facts.Namespace, secondary *facts.Address) string {
	for _, a := range ns.Addresses {
		if a.Link == secondary.Link && !a.Secondary && a.Prefix.Masked() == secondary.Prefix.Masked() {
			return a.Prefix.Addr().String()
		}
	}
	return "which was not read"
}

func linkName(ns *facts.Namespace, index int) string {
	if l := ns.Link(index); l != nil {
		return l.Name
	}
	return fmt.Sprintf("link %d", index)
}

func recreateTunnel(s *facts.Snapshot, l *facts.Link) fix.Fix {
	return fix.Fix{
		Title: fmt.Sprintf("let the network pod make %s again with the node's address", l.Name),
		Cost:  "no packet passes the tunnel for about a second",
		Advice: []string{
			fix.Shell(nil, "kubectl", "get", "pod", "-A", "-o", "wide", "--field-selector", "spec.nodeName="+nodeName(s)) + "  # find the pod that owns it: kube-flannel-ds, calico-node",
			"kubectl -n NAMESPACE delete pod THAT-POD  # it comes back, makes the device anew and tells the peers",
			fix.Shell(&s.Host, "ip", "-d", "link", "show", l.Name) + "  # if `local` is still wrong, name the interface: flannel --iface, calico IP_AUTODETECTION_METHOD",
		},
	}
}

// drain is the command that moves the node's pods away. Without the last flag it refuses pods with an emptyDir, which nearly every node has.
func drain(s *facts.Snapshot) string {
	return fix.Shell(nil, "kubectl", "drain", nodeName(s), "--ignore-daemonsets", "--delete-emptydir-data")
}

// nodeName is the node's name in commands for a person, or what to put its name for.
func nodeName(s *facts.Snapshot) string {
	if s.Node.Name == "" {
		return "NODE"
	}
	return s.Node.Name
}
