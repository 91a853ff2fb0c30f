package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// RPFilterStrict finds links whose strict reverse path filter drops what the pod network sends through them.
var RPFilterStrict = &check.Check{
	Name:  "rp-filter-strict",
	Title: "Strict reverse path filtering drops packets of the pod network",
	Since: "v0.1.0",
	Doc: markdown(`
With ~rp_filter = 1~ the kernel drops an IPv4 packet unless the route back to its source leaves by the link on which it came in. On a node with
two uplinks that is often not so: a tunnel's packets come in on the one that has the tunnel's address and would be answered by the other.

**How it is seen.** Pods reach pods on some nodes and not on others, or everything but answers from one network; captures show the packets
arriving on the NIC and never on ~flannel.1~ or ~cni0~. ~TcpExt: IPReversePathFilter~ in ~/proc/net/netstat~ rises, and with ~log_martians = 1~
the kernel logs ~martian source~.

**Why.** ~fib_validate_source~, net/ipv4/fib_frontend.c. What counts is the higher of ~conf.all.rp_filter~ and the link's own value; 0 is off, 1
strict, 2 loose (some route back is enough), so a link's 2 overrules a 1 of ~all~ (Documentation/networking/ip-sysctl.rst). Policy rules are
part of the look-up, also those for the address that the packet was sent to. On a link **without** an IPv4 address loose drops such packets as
well; tried on Linux 6.18.

Strict alone is no fault: it is the default of several distributions, and on a healthy node with flannel every route back leaves by the link the
packets came in on. So the routes are followed:

- A peer of the pods' tunnel is answered by another link than the one that has the tunnel's local address: a warning; critical while the counter
  rises.
- A second uplink with a default route of its own that no rule prefers: worth knowing; a warning while the counter rises by one a second or
  more.
- The counter rises that fast while only tunnels and bridges of the CNI are strict: a warning on these. Elsewhere the drops may be just what the
  filter is for.

**Fix.** Write 2 to the link's own value; undo writes the old one. systemd from 245 on applies ~net.ipv4.conf.*.rp_filter~ of its files to each
new link, so a lasting setting must name the link.

**Cost.** Packets with a false source address are no longer dropped on that link, unless no route leads to that source at all.

**When it is no fault.** Calico sets 1 on its ~cali*~ links to stop pods from lying about their address, and Cilium sets its links itself:
neither is judged, nor are tunnels that no pod's packet goes through. Rules with marks decide differently where ~src_valid_mark~ is 1; then
nothing is followed.
`),
	Needs:    []facts.Kind{facts.KindLinks, facts.KindAddresses, facts.KindRoutes, facts.KindRules, facts.KindSysctls},
	Wants:    []facts.Kind{facts.KindFDB, facts.KindCounters, facts.KindSysctlFiles},
	Window:   check.WantsWindow,
	Severity: check.Critical,
	Run:      runRPFilterStrict,
}

const rpfCounter = "TcpExt.IPReversePathFilter"

func runRPFilterStrict(s *facts.Snapshot) []check.Finding {
	var out []check.Finding
	for i := range s.Host.Links {
		l := &s.Host.Links[i]
		if !strict(s, l) || !followable(s, l) {
			continue
		}
		f, ok := detour(s, l)
		if !ok {
			f, ok = secondUplink(s, l)
		}
		if ok {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		return strictPodSide(s)
	}
	return out
}

// strict says whether the filter of a link is strict; false where that is not known.
func strict(s *facts.Snapshot, l *facts.Link) bool {
	all, link := s.Host.Sysctls["net/ipv4/conf/all/rp_filter"], s.Host.Sysctls[rpKey(l)]
	return (all == "0" || all == "1") && (link == "0" || link == "1") && (all == "1" || link == "1")
}

func rpKey(l *facts.Link) string { return "net/ipv4/conf/" + l.Name + "/rp_filter" }

// followable says whether the look-up of the way back from a link can be done with the facts at hand.
func followable(s *facts.Snapshot, l *facts.Link) bool {
	unmarked := s.Host.Sysctls["net/ipv4/conf/all/src_valid_mark"] == "0" && s.Host.Sysctls["net/ipv4/conf/"+l.Name+"/src_valid_mark"] == "0"
	for _, r := range s.Host.Rules {
		marked := r.Mark|r.Mask != 0 && !unmarked
		if r.Family == 4 && (r.Opaque || r.Invert || marked) {
			return false
		}
	}
	return true
}

// wayBack gives the link by which the route to a source leaves, for a packet that was sent to the address to; nil where that is the link itself, or
// another with an address in the same network, on which the packet may well come in, or where there is no single such link.
func wayBack(s *facts.Snapshot, l *facts.Link, source, to netip.Addr) *facts.Link {
	r := s.Host.RouteTo(source, to)
	if r == nil || r.Type == "local" || len(r.Egress()) != 1 || r.Egress()[0] == l.Index {
		return nil
	}
	if a := globalAddress(&s.Host, r.Egress()[0], true); a.IsValid() && a.Contains(to) {
		return nil
	}
	return s.Host.Link(r.Egress()[0])
}

// detour judges a link that has the local address of a tunnel.
func detour(s *facts.Snapshot, l *facts.Link) (check.Finding, bool) {
	if l.Loopback || l.Kind == "dummy" || l.Master != 0 {
		return check.Finding{}, false
	}
	for i := range s.Host.Links {
		t := &s.Host.Links[i]
		if t.Tunnel == nil || !t.Tunnel.Local.Is4() || !hasAddress(&s.Host, l.Index, t.Tunnel.Local) || !carriesPods(s, t) {
			continue
		}
		for _, peer := range peers(&s.Host, t) {
			back := wayBack(s, l, peer, t.Tunnel.Local)
			if back == nil || !peer.Is4() {
				continue
			}
			f := rpFinding(s, l, fmt.Sprintf("%s is strict, but the route back to %s's peer %s leaves by %s: what it sends to %s is dropped",
				l.Name, t.Name, peer, back.Name, t.Tunnel.Local))
			f.Severity = check.Warning
			if d, _ := delta(&s.Host, rpfCounter); d > 0 {
				f.Severity = check.Critical
			}
			return f, true
		}
	}
	return check.Finding{}, false
}

func hasAddress(ns *facts.Namespace, link int, ip netip.Addr) bool {
	return slices.ContainsFunc(ns.Addresses, func(a facts.Address) bool { return a.Link == link && a.Prefix.Addr() == ip })
}

// secondUplink judges a link with a default route that the kernel does not prefer, on a node of Kubernetes.
func secondUplink(s *facts.Snapshot, l *facts.Link) (check.Finding, bool) {
	address := globalAddress(&s.Host, l.Index, true)
	if !s.Node.Kubelet || !address.IsValid() || l.Master != 0 {
		return check.Finding{}, false
	}
	for _, r := range s.Host.Routes {
		if r.Table != facts.TableMain || r.Link != l.Index || r.Dst.Bits() != 0 || !r.Dst.Addr().Is4() {
			continue
		}
		back := wayBack(s, l, netip.IPv4Unspecified(), address.Addr())
		if back == nil {
			return check.Finding{}, false
		}
		f := rpFinding(s, l, fmt.Sprintf("%s is strict, but answers to what comes in on it from beyond its own network leave by %s", l.Name, back.Name))
		if dropsFast(s) {
			f.Severity = check.Warning
		}
		return f, true
	}
	return check.Finding{}, false
}

// dropsFast says whether the filter drops one packet a second or more: noise of the internet and of multicast is slower.
func dropsFast(s *facts.Snapshot) bool {
	d, ok := delta(&s.Host, rpfCounter)
	return ok && s.Window != nil && float64(d) >= s.Window.Seconds
}

// strictPodSide judges by the counter alone: it says nothing of the link, so only tunnels and bridges of the CNI may be strict.
func strictPodSide(s *facts.Snapshot) []check.Finding {
	if !dropsFast(s) {
		return nil
	}
	var out []check.Finding
	for i := range s.Host.Links {
		l := &s.Host.Links[i]
		switch {
		case !strict(s, l) || l.Loopback:
		case cniBridge(s, l) || cniTunnel(l):
			f := rpFinding(s, l, fmt.Sprintf("%s is strict, no other kind of link is, and packets are dropped for their source", l.Name))
			f.Severity = check.Warning
			out = append(out, f)
		case l.Master == 0:
			return nil
		}
	}
	return out
}

func rpFinding(s *facts.Snapshot, l *facts.Link, message string) check.Finding {
	key := rpKey(l)
	f := check.Finding{
		On: s.Host.Ref(l), Message: message,
		Evidence: []check.Evidence{
			{Fact: "net.ipv4.conf.all.rp_filter", Got: s.Host.Sysctls["net/ipv4/conf/all/rp_filter"]},
			{Fact: "net.ipv4.conf." + l.Name + ".rp_filter", Got: s.Host.Sysctls[key], Want: "2"},
		},
	}
	if d, ok := delta(&s.Host, rpfCounter); ok {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "TcpExt IPReversePathFilter", Got: risen(s, d), Want: "+0"})
	}
	f.Evidence = append(f.Evidence, setAtBoot(s, key, "2")...)
	if globalAddress(&s.Host, l.Index, true).IsValid() && fix.ValidSysctl(key) {
		f.Fixes = []fix.Fix{{
			Title:   "make the reverse path filter of " + l.Name + " loose",
			Cost:    "packets with a false source address are no longer dropped on " + l.Name,
			Changes: []fix.Change{{Knob: fix.Sysctl(key), On: f.On, From: s.Host.Sysctls[key], To: "2"}},
		}}
	}
	return f
}
