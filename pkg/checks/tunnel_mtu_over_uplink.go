package checks

import (
	"fmt"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// TunnelMTUOverUplink finds tunnels whose packets do not fit the link under them.
var TunnelMTUOverUplink = &check.Check{
	Name:  "tunnel-mtu-over-uplink",
	Title: "A tunnel's packets are larger than the link under it carries",
	Since: "v0.1.0",
	Doc: markdown(`
A tunnel adds its headers to every packet. Where the tunnel's MTU and the headers together are more than the MTU of the link, or of the route,
that the outer packets leave by, full packets of pods do not fit.

**How it is seen.** Handshakes and short requests between nodes work; large answers and uploads hang. A capture shows the first full segment
sent again and again. ~ping -M do -s 1400~ between pods of two nodes fails where ~-s 1300~ passes.

**Why.** Headers: vxlan and geneve 50 bytes over IPv4 and 70 over IPv6 (RFC 7348, RFC 8926), ipip and sit 20 (RFC 2003), gre 24, 28 with a key
(RFC 2784, RFC 2890), wireguard 60 and 80. A vxlan device that is bound to a link is clamped when it is made, but not when that link's MTU is
lowered later, and one that is not bound is never clamped. flannel takes an old flannel.1 over without comparing its MTU. The link is the one
that the tunnel is bound to, else the one that the routes to its peers lead to, else that of the default route.

What becomes of full packets was measured on 6.18, for packets of a pod. vxlan over IPv4 with ~df unset~: the outer packet is cut into
fragments, which works until something on the way drops fragments; that is a **warning**. vxlan over IPv6, and any tunnel with ~df set~ or ~df
inherit~: dropped without an answer that reaches the pod, so that TCP stands still; that is **critical**, as it is for ipip and gre, which set
the bit.

**Fix.** By hand: lower the tunnel's MTU with the printed command (undo: the old number; it takes effect at once), set the same number in the
CNI's configuration so that it lasts, then make the node's pods again in turn. Or raise the link's MTU, if the switches carry it. Raising the
tunnel's MTU never helps: on a link of 1500 bytes ipip carries at most 1480.

**Cost.** Smaller packets: a few percent more headers.

**No fault.** A tunnel that no packet of a pod goes through, such as an administrator's VPN, is only worth knowing. Jumbo frames on the uplink
leave room. Tunnels driven by flow metadata (Cilium, Open vSwitch, Antrea) keep to the MTU by routes or by the pods' links, whatever their own
device says. A smaller MTU somewhere between the nodes cannot be seen from here.
`),
	Needs:    []facts.Kind{facts.KindTunnels},
	Wants:    []facts.Kind{facts.KindRoutes, facts.KindRules, facts.KindFDB, facts.KindCounters},
	Window:   check.NoWindow,
	Severity: check.Critical,
	Settle:   10 * time.Second,
	NotApplicable: func(s *facts.Snapshot) string {
		for i := range s.Host.Links {
			if l := &s.Host.Links[i]; tunnelUp(l) && overhead(l, false) > 0 {
				return ""
			}
		}
		return "no tunnel is up"
	},
	Run: func(s *facts.Snapshot) []check.Finding {
		var out []check.Finding
		for i := range s.Host.Links {
			l := &s.Host.Links[i]
			if !tunnelUp(l) {
				continue
			}
			if f, found := tunnelOverUplink(s, l); found {
				out = append(out, f)
			}
		}
		return out
	},
}

func tunnelOverUplink(s *facts.Snapshot, l *facts.Link) (check.Finding, bool) {
	v6 := outerV6(&s.Host, l)
	headers := overhead(l, v6)
	narrowest, found := narrowestPath(&s.Host, l)
	if headers == 0 || !found || l.MTU+headers <= narrowest.mtu {
		return check.Finding{}, false
	}
	fits := narrowest.mtu - headers
	f := check.Finding{
		Severity: check.Critical,
		On:       s.Host.Ref(l),
		Message:  fmt.Sprintf("%s has MTU %d, but only %d fits into %s: full packets are dropped", l.Name, l.MTU, max(fits, 0), narrowest.link.Name),
		Evidence: []check.Evidence{
			{Fact: "MTU of " + l.Name, Got: fmt.Sprint(l.MTU), Want: fmt.Sprintf("at most %d", max(fits, 0))},
			{Fact: "MTU of " + narrowest.link.Name, Got: fmt.Sprint(narrowest.link.MTU)},
			{Fact: "headers of " + l.Kind + family(v6), Got: fmt.Sprintf("%d bytes", headers)},
		},
	}
	if narrowest.mtu != narrowest.link.MTU {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "MTU of the route to " + narrowest.peer.String(), Got: fmt.Sprint(narrowest.mtu)})
	} else if narrowest.peer.IsValid() {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "way to " + narrowest.peer.String(), Got: narrowest.link.Name})
	}
	if fragments(l, v6) {
		f.Severity = check.Warning
		f.Message = fmt.Sprintf("%s has MTU %d, but only %d fits into %s: full packets leave in fragments", l.Name, l.MTU, max(fits, 0), narrowest.link.Name)
	}
	advice := lowerTunnelMTU(s, l, fits)
	if !carriesPods(s, l) {
		f.Severity = check.Info
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "ways of pods' packets into " + l.Name, Got: "none is known"})
		advice = advice[:1] // the rest is about pods
	}
	f.Evidence = append(f.Evidence, risenEvidence(s, &s.Host, "Ip.FragCreates", "Ip.FragFails", "Ip6.FragCreates", "Ip6.FragFails")...)
	if fits > 0 {
		f.Fixes = []fix.Fix{{Title: "lower the MTU of " + l.Name + ", or raise that of " + narrowest.link.Name, Advice: advice}}
	}
	return f, true
}

// narrowestPath is the path of a tunnel with the smallest MTU.
func narrowestPath(ns *facts.Namespace, l *facts.Link) (narrowest outerPath, found bool) {
	for _, p := range outerPaths(ns, l) {
		if p.link.Loopback {
			continue
		}
		if !found || p.mtu < narrowest.mtu {
			narrowest, found = p, true
		}
	}
	return narrowest, found
}

// fragments says whether the kernel cuts outer packets that are too large: it does so over IPv4 without the bit that forbids it.
func fragments(l *facts.Link, v6 bool) bool {
	switch l.Kind {
	case "vxlan", "geneve":
		return !v6 && (l.Tunnel.DF == "" || l.Tunnel.DF == "unset")
	case "wireguard": // drivers/net/wireguard/socket.c never sets the bit
		return true
	}
	return false
}

func family(v6 bool) string {
	if v6 {
		return " over IPv6"
	}
	return " over IPv4"
}

func lowerTunnelMTU(s *facts.Snapshot, l *facts.Link, mtu int) []string {
	return []string{
		fix.Shell(&s.Host, "ip", "link", "set", "dev", l.Name, "mtu", fmt.Sprint(mtu)),
		fmt.Sprintf("set the MTU %d in the CNI's configuration too, so that it lasts (flannel: Backend.MTU in net-conf.json; Calico: veth_mtu in the ConfigMap calico-config, or calicoNetwork.mtu of the Installation)", mtu),
		"delete the node's pods in turn, so that they are made again with the smaller MTU",
	}
}
