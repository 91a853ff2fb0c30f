package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// isolated is the domain of a holder that cannot meet another; each has its own.
const isolated = -1

// wiredPods gives the addresses of the pods' links that lead into the node's namespace.
func wiredPods(s *facts.Snapshot) (out groups[holder]) {
	ends := map[*facts.Namespace]map[int]*facts.Link{} // pod, index of its link: the node's end
	for i := range s.Host.Links {
		if pod, l := podOf(s, &s.Host.Links[i]); l != nil && l.Kind == "veth" {
			if ends[pod] == nil {
				ends[pod] = map[int]*facts.Link{}
			}
			ends[pod][l.Index] = &s.Host.Links[i]
		}
	}
	for _, pod := range readablePods(s, facts.KindPodLinks, facts.KindAddresses) {
		for _, a := range pod.Addresses {
			end, l := ends[pod][a.Link], pod.Link(a.Link)
			if end == nil || !l.Up || !end.Up || a.DADFailed || a.Tentative || a.Scope != "global" || !ownedByOne(a.Prefix.Addr()) {
				continue
			}
			if d := segment(s, end, a.Prefix.Addr()); d != isolated {
				out.add(meeting{addr: a.Prefix.Addr(), domain: d}, holder{ns: pod, link: l, prefix: a.Prefix, end: end})
			}
		}
	}
	return out
}

// segment says where a pod's address meets others: in the node's routes (0, or the index of a VRF) where the pod is routed or its bridge has an
// address of the pod's network; on its bridge alone (the bridge's index) where the node has none there.
func segment(s *facts.Snapshot, end *facts.Link, addr netip.Addr) int {
	bridge := s.Host.Link(end.Master)
	switch {
	case end.Master == 0:
		return 0
	case bridge == nil:
		return isolated
	case bridge.Kind == "vrf":
		return bridge.Index
	case bridge.Kind != "bridge": // Open vSwitch, which keeps networks apart by itself
		return isolated
	}
	for _, a := range s.Host.Addresses {
		if a.Link == bridge.Index && a.Prefix.Contains(addr) {
			return vrf(&s.Host, bridge)
		}
	}
	return bridge.Index
}

// twiceInPods compares the pods with each other and with the node.
func twiceInPods(s *facts.Snapshot, found map[netip.Addr]*duplicate) {
	at := wiredPods(s)
	for _, k := range at.order {
		hs := at.members[k]
		if !reached(s, hs) {
			continue
		}
		d := duplicate{severity: check.Critical}
		for _, h := range hs {
			d.evidence = append(d.evidence, h.evidence("in "+podName(h.ns)))
			d.advice = append(d.advice, fix.Shell(h.ns, "ip", "-br", "addr")+"  # "+podName(h.ns))
		}
		own := hostHolder(s, k.addr, k.domain)
		switch {
		case own != nil:
			d.what = fmt.Sprintf("is the address of %s and of %s on the node: the node answers for the pod", podName(hs[0].ns), own.link.Name)
			d.evidence = append(d.evidence, own.evidence("on the node"))
		case len(hs) > 1:
			d.what = fmt.Sprintf("is the address of %d pods: packets for it reach one of them", len(hs))
		default:
			continue
		}
		d.advice = append(d.advice, fix.Shell(nil, "kubectl", "get", "pod", "-A", "-o", "wide", "--field-selector", "spec.nodeName="+nodeName(s)+",status.podIP="+k.addr.String())+"  # delete the one that came last")
		report(found, k.addr, d)
	}
}

// reached says whether the holders meet on one bridge, whether the node sends to the address by the link of one of them, or whether its routes were not
// read. Namespaces that a person wired up by hand may use any address.
func reached(s *facts.Snapshot, hs []holder) bool {
	if len(hs) > 1 && hs[0].end.Master != 0 && hs[0].end.Master == hs[1].end.Master || !s.Has(facts.KindRoutes) {
		return true
	}
	for _, r := range s.Host.Routes {
		for _, h := range hs {
			if r.Type == "unicast" && r.Dst.IsValid() && r.Dst.Contains(h.prefix.Addr()) && r.Link > 0 && (r.Link == h.end.Index || r.Link == h.end.Master) {
				return true
			}
		}
	}
	return false
}

// hostHolder finds a link of the node in that domain that has the address.
func hostHolder(s *facts.Snapshot, addr netip.Addr, domain int) *holder {
	for _, a := range s.Host.Addresses {
		l := s.Host.Link(a.Link)
		if l == nil || a.Prefix.Addr() != addr {
			continue
		}
		if d := vrf(&s.Host, l); d == domain || l.Index == domain {
			return &holder{ns: &s.Host, link: l, prefix: a.Prefix}
		}
	}
	return nil
}

// podName says which pod a namespace is, as far as the node knows without Kubernetes.
func podName(ns *facts.Namespace) string {
	switch {
	case ns.Path != "":
		return ns.Path
	case ns.Comm != "":
		return fmt.Sprintf("the namespace of process %d (%s)", ns.PID, ns.Comm)
	}
	return fmt.Sprintf("namespace %d", ns.Inode)
}

// twiceRouted compares host routes that point straight at a link, as CNIs make them for pods. The kernel takes a second one only when it is
// appended (NLM_F_APPEND), and then uses the first.
func twiceRouted(s *facts.Snapshot, found map[netip.Addr]*duplicate) {
	var at groups[*facts.Link]
	for _, r := range s.Host.Routes {
		l := s.Host.Link(r.Link)
		if r.Type != "unicast" || !r.Dst.IsSingleIP() || r.Gateway.IsValid() || len(r.NextHops) > 0 || r.Protocol == "kernel" ||
			l == nil || !l.Up || !ownedByOne(r.Dst.Addr()) {
			continue
		}
		at.add(meeting{addr: r.Dst.Addr(), table: r.Table, metric: r.Metric}, l)
	}
	for _, k := range at.order {
		links := at.members[k]
		if !slices.ContainsFunc(links, func(l *facts.Link) bool { return l.Kind == "veth" }) {
			continue // a gateway that several NICs have, as DHCP gives it
		}
		d := duplicate{severity: check.Critical}
		same := true
		for _, l := range links {
			same = same && l == links[0]
			words := []string{"ip", "route", "del", k.addr.String(), "dev", l.Name, "table", fmt.Sprint(k.table)}
			d.evidence = append(d.evidence, check.Evidence{Fact: fmt.Sprintf("route of table %d with metric %d", k.table, k.metric), Got: fmt.Sprintf("%s dev %s", k.addr, l.Name)})
			d.advice = append(d.advice, fix.Shell(&s.Host, words...)+"  # if the pod is not behind this link")
		}
		if same {
			continue
		}
		d.what = fmt.Sprintf("is routed to %s and to %s: the first wins", links[0].Name, links[1].Name)
		report(found, k.addr, d)
	}
}
