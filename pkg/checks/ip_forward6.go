package checks

import (
	"fmt"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// forward6 is the part of [IPForward] that judges IPv6, where pods have it.
func forward6(s *facts.Snapshot) []check.Finding {
	if s.Host.Sysctls[sysctlIP6Forward] != "0" || s.Host.LinkNamed("cilium_host") != nil {
		return nil
	}
	l, address := podSide6(s)
	if l == nil {
		return nil
	}
	f := check.Finding{
		Severity: check.Warning,
		On:       facts.Ref{NetNS: s.Host.Inode, Name: "net.ipv6.conf.all.forwarding"},
		Message:  fmt.Sprintf("pods have IPv6 (%s on %s), but the node does not forward it", address, l.Name),
		Evidence: append([]check.Evidence{{Fact: "net.ipv6.conf.all.forwarding", Got: "0", Want: "1"}}, setAtBoot(s, sysctlIP6Forward, "1")...),
	}
	x := fix.Fix{
		Title: "switch IPv6 forwarding on",
		Cost:  "the node becomes a router: its FORWARD rules count, and router advertisements are heeded only where accept_ra is 2",
	}
	for _, ra := range advertised(s) {
		key := "net/ipv6/conf/" + ra.Name + "/accept_ra"
		v, known := s.Host.Sysctls[key]
		if !known || !fix.ValidSysctl(key) {
			x.Changes = nil
			x.Advice = []string{fix.Shell(&s.Host, "sysctl", "-w", key+"=2"), fix.Shell(&s.Host, "sysctl", "-w", sysctlIP6Forward+"=1")}
			f.Fixes = []fix.Fix{x}
			return []check.Finding{f}
		}
		if v == "1" { // 0: a program such as systemd-networkd listens to advertisements itself
			f.Evidence = append(f.Evidence,
				check.Evidence{Fact: "net.ipv6.conf." + ra.Name + ".accept_ra", Got: v, Want: "2: its default route is from an advertisement"})
			x.Changes = append(x.Changes, fix.Change{Knob: fix.Sysctl(key), On: s.Host.Ref(ra), From: v, To: "2"})
		}
	}
	x.Changes = append(x.Changes, fix.Change{Knob: fix.Sysctl(sysctlIP6Forward), On: f.On, From: "0", To: "1"})
	f.Fixes = []fix.Fix{x}
	return []check.Finding{f}
}

// podSide6 gives the first link of the pod network on which a pod or the node itself has a global IPv6 address and that does not force forwarding.
func podSide6(s *facts.Snapshot) (*facts.Link, string) {
	for _, l := range podSide(s) {
		if s.Host.Sysctls["net/ipv6/conf/"+l.Name+"/force_forwarding"] == "1" {
			continue
		}
		if a := globalAddress(&s.Host, l.Index, false); a.IsValid() && l.Kind == "bridge" {
			return l, a.String()
		}
		if pod, end := podOf(s, l); end != nil {
			if a := globalAddress(pod, end.Index, false); a.IsValid() {
				return l, a.String()
			}
		}
	}
	return nil, ""
}

// advertised gives the links that have a default route from a router advertisement.
func advertised(s *facts.Snapshot) []*facts.Link {
	var out []*facts.Link
	for i := range s.Host.Routes {
		r := &s.Host.Routes[i]
		if r.Protocol != "ra" || r.Dst.Bits() != 0 || !r.Dst.Addr().Is6() {
			continue
		}
		for _, index := range r.Egress() {
			if l := s.Host.Link(index); l != nil && !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}
