package checks

import (
	"fmt"
	"net/netip"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// DHCPStaticSameNIC finds a NIC that has a static and a DHCP address of one network.
var DHCPStaticSameNIC = &check.Check{
	Name:  "dhcp-static-same-nic",
	Title: "A NIC has a static and a DHCP address of the same network",
	Since: "v0.1.0",
	Doc: markdown(`
Two programs configure one NIC: a file gives it a static address and a DHCP client adds a second one of the same network. The kernel keeps both,
the first as **primary**, the second as **secondary** (~ip addr~ shows ~secondary~, and ~dynamic~ for the one with a lifetime).

**What breaks.** Packets that name no source, and packets that are masqueraded, leave with the primary address. A tunnel that was given the
secondary one sends some packets from one address and some, those that masquerading has touched, from the other; and a tunnel's outer packet
that is rewritten on its way out may carry a wrong UDP checksum (see tunnel-tx-checksum). The peer drops them.

**How it is seen.** A new node reaches pod addresses and not ClusterIPs. A capture on the peer shows outer packets from two addresses of this
node. The Service rules are right, so one looks for the fault there for a long time.

**Why.** Within one prefix the first address is the primary (net/ipv4/devinet.c, ~__inet_insert_ifa~) and masquerading takes the primary of the
outgoing link (~inet_select_addr~). Typical is ~BOOTPROTO=dhcp~ beside an ~IPADDR~, or ~dhcp4: true~ beside ~addresses~.

It is critical where a tunnel sends from the secondary address, a warning where DHCP gave the secondary one. Where DHCP gave the primary
and nothing is bound to the static secondary, that is how virtual addresses and a cloud's secondary addresses look, so it is only worth knowing.

**Fix.** By hand, because removing an address cuts connections: keep the address the node is registered with, take the other out of the
network configuration, then restart the network and the pods that own the tunnel. Undo: put the line back. Until then the tunnel can be
mended by itself: its finding says how.

**When it is no fault.** Addresses of different prefixes, a /32 beside a network (keepalived, kube-vip), several addresses that all have no
lifetime, and IPv6, where a static address beside an autoconfigured one is normal.
`),
	Needs:    []facts.Kind{facts.KindTunnels, facts.KindAddresses},
	Wants:    []facts.Kind{facts.KindLinks},
	Severity: check.Critical,
	Run:      runDHCPStaticSameNIC,
}

// mixedPrefix is one IPv4 network of one NIC that has both a static and a DHCP address there.
type mixedPrefix struct {
	link            *facts.Link
	prefix          netip.Prefix
	static, dynamic facts.Address // the first of each
	primary         facts.Address
	secondaries     []netip.Addr
}

// mixedPrefixes lists them in the order of the addresses.
func mixedPrefixes(ns *facts.Namespace) (out []mixedPrefix) {
	type key struct {
		link   int
		prefix netip.Prefix
	}
	at := map[key][]facts.Address{}
	var order []key
	for _, a := range ns.Addresses {
		l := ns.Link(a.Link)
		if l == nil || !isUplinkLike(ns, l) || !a.Prefix.Addr().Is4() || a.Scope != "global" || a.Prefix.Bits() == 32 {
			continue
		}
		k := key{a.Link, a.Prefix.Masked()}
		if at[k] == nil {
			order = append(order, k)
		}
		at[k] = append(at[k], a)
	}
	for _, k := range order {
		m := mixedPrefix{link: ns.Link(k.link), prefix: k.prefix}
		for _, a := range at[k] {
			switch {
			case a.Secondary:
				m.secondaries = append(m.secondaries, a.Prefix.Addr())
			case !m.primary.Prefix.IsValid():
				m.primary = a
			}
			switch {
			case a.Permanent && !m.static.Prefix.IsValid():
				m.static = a
			case !a.Permanent && a.Valid != facts.Forever && !m.dynamic.Prefix.IsValid():
				m.dynamic = a
			}
		}
		if m.static.Prefix.IsValid() && m.dynamic.Prefix.IsValid() && m.primary.Prefix.IsValid() {
			out = append(out, m)
		}
	}
	return out
}

// isUplinkLike leaves out the links on which no DHCP client and no administrator configures an uplink's address.
func isUplinkLike(ns *facts.Namespace, l *facts.Link) bool {
	return !l.Loopback && l.Kind != "dummy" && l.Tunnel == nil && !isBridgePort(ns, l)
}

func isBridgePort(ns *facts.Namespace, l *facts.Link) bool {
	if l.Port != nil {
		return true
	}
	m := ns.Link(l.Master)
	return m != nil && m.Kind == "bridge"
}

// boundTunnel finds the tunnel that sends from one of the addresses.
func boundTunnel(ns *facts.Namespace, addrs ...netip.Addr) *facts.Link {
	for i := range ns.Links {
		l := &ns.Links[i]
		if l.Tunnel == nil || !l.Up {
			continue
		}
		for _, a := range addrs {
			if l.Tunnel.Local == a {
				return l
			}
		}
	}
	return nil
}

func runDHCPStaticSameNIC(s *facts.Snapshot) []check.Finding {
	var out []check.Finding
	for _, m := range mixedPrefixes(&s.Host) {
		static, dynamic, primary := m.static.Prefix.Addr(), m.dynamic.Prefix.Addr(), m.primary.Prefix.Addr()
		f := check.Finding{
			Severity: check.Warning,
			On:       s.Host.Ref(m.link),
			Message: fmt.Sprintf("%s has the static address %s and the DHCP address %s, both of %s: what is masqueraded leaves as %s",
				m.link.Name, static, dynamic, m.prefix, primary),
			Evidence: []check.Evidence{
				{Fact: "static address", Got: describeAddress(m.static)},
				{Fact: "DHCP address", Got: describeAddress(m.dynamic)},
			},
		}
		used := boundTunnel(&s.Host, m.secondaries...)
		switch {
		case used != nil:
			f.Severity = check.Critical
			f.Message = fmt.Sprintf("%s has the static address %s and the DHCP address %s: %s sends from %s, and what is masqueraded leaves as %s",
				m.link.Name, static, dynamic, used.Name, used.Tunnel.Local, primary)
			f.Evidence = append(f.Evidence, check.Evidence{Fact: "source address of " + used.Name, Got: used.Tunnel.Local.String(), Want: "the primary address " + primary.String()})
		case !m.dynamic.Secondary:
			f.Severity = check.Info
			f.Message = fmt.Sprintf("%s has the DHCP address %s and beside it the static address %s: normal if that is a virtual or a cloud's secondary address",
				m.link.Name, dynamic, static)
		}
		if f.Severity > check.Info {
			f.Fixes = []fix.Fix{removeDHCPAddress(s, m, used)}
		}
		out = append(out, f)
	}
	return out
}

func describeAddress(a facts.Address) string {
	text := a.Prefix.String()
	if a.Secondary {
		text += " secondary"
	}
	if !a.Permanent && a.Valid != facts.Forever {
		text += fmt.Sprintf(", valid for %d s", a.Valid)
	}
	return text
}

func removeDHCPAddress(s *facts.Snapshot, m mixedPrefix, used *facts.Link) fix.Fix {
	dev := m.link.Name
	advice := []string{fix.Shell(nil, "kubectl", "get", "node", nodeName(s), "-o", "wide") + "  # INTERNAL-IP is the address to keep"}
	advice = append(advice, dhcpOff(s.Node.Distribution, dev)...)
	advice = append(advice, fmt.Sprintf("then drain the node and restart its network: %s goes, %s stays (the other way round if the node is registered with %s)",
		m.dynamic.Prefix, m.static.Prefix, m.dynamic.Prefix.Addr()))
	if used != nil {
		advice = append(advice, fmt.Sprintf("restart the network pod that owns %s (flannel, calico-node), so that it sends from the address that stays", used.Name))
	}
	return fix.Fix{
		Title:  fmt.Sprintf("give %s one address: take DHCP out of its configuration", dev),
		Cost:   "connections from and to the address that goes are cut, so the node is to be drained first",
		Advice: advice,
	}
}
