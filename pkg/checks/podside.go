package checks

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// podSide gives the node's links through which packets of pods come in: the bridges of the CNI, the node's ends of pods' links that are not ports of a
// bridge, and the tunnels of the CNI. Links that are ports are not in it: IP sees the bridge's packets, not theirs.
func podSide(s *facts.Snapshot) []*facts.Link {
	var out []*facts.Link
	for i := range s.Host.Links {
		l := &s.Host.Links[i]
		pod, _ := podOf(s, l)
		if cniBridge(s, l) || cniTunnel(l) || pod != nil && l.Master == 0 && cniPort(s, l) {
			out = append(out, l)
		}
	}
	return out
}

// cniBridge tells the bridge of the running CNI: one that its configuration names, or one with a name that only a CNI uses.
func cniBridge(s *facts.Snapshot, l *facts.Link) bool {
	if l.Kind != "bridge" {
		return false
	}
	switch l.Name {
	case "cni0", "cbr0", "kube-bridge":
		return true
	}
	return slices.ContainsFunc(running(s.CNI).Plugins, func(p facts.CNIPlugin) bool { return p.Bridge == l.Name })
}

// cniTunnel tells an upper tunnel device of a CNI by its name. tunl0 is there wherever the module is loaded; it is a CNI's only when it is up.
func cniTunnel(l *facts.Link) bool {
	if !l.Up || l.Master != 0 {
		return false
	}
	switch l.Name {
	case "tunl0", "vxlan.calico", "vxlan-v6.calico", "wireguard.cali", "cilium_vxlan", "cilium_geneve", "antrea-tun0":
		return true
	}
	return (l.Kind == "vxlan" || l.Kind == "wireguard") && strings.HasPrefix(l.Name, "flannel")
}

// cniPort tells the node's end of a pod's link by the names that CNIs without a bridge give it. Calico's name is its own; the others, of ptp and of
// the cloud networks, are a CNI's only where there is one.
func cniPort(s *facts.Snapshot, l *facts.Link) bool {
	switch {
	case l.Kind != "veth":
		return false
	case strings.HasPrefix(l.Name, "cali"):
		return true
	}
	return len(running(s.CNI).Plugins) > 0 && (strings.HasPrefix(l.Name, "veth") || strings.HasPrefix(l.Name, "eni"))
}

// podOf gives the pod to which a link of the node leads, and the pod's end of it; nil where it leads to none that was read.
func podOf(s *facts.Snapshot, l *facts.Link) (*facts.Namespace, *facts.Link) {
	if l.Kind != "veth" || l.PeerNSID == nil {
		return nil, nil
	}
	for i := range s.Pods {
		if p := &s.Pods[i]; p.NSID != nil && *p.NSID == *l.PeerNSID {
			return p, p.Link(l.Parent)
		}
	}
	return nil, nil
}

// ports are the links that are ports of the bridge and lead out of the node's namespace.
func ports(s *facts.Snapshot, bridge *facts.Link) []*facts.Link {
	var out []*facts.Link
	for i := range s.Host.Links {
		if l := &s.Host.Links[i]; l.Master == bridge.Index && l.Kind == "veth" && l.PeerNSID != nil {
			out = append(out, l)
		}
	}
	return out
}

// globalAddress is the first address of the link that others can reach, of IPv4 or of IPv6; the zero Prefix where there is none.
func globalAddress(ns *facts.Namespace, link int, v4 bool) netip.Prefix {
	for _, a := range ns.Addresses {
		if a.Link == link && a.Scope == "global" && a.Prefix.Addr().Is4() == v4 {
			return a.Prefix
		}
	}
	return netip.Prefix{}
}

// onlyIPv6 says whether the cluster's pods are known to have no IPv4.
func onlyIPv6(s *facts.Snapshot) bool {
	known := podAddresses(s)
	return len(known) > 0 && !slices.ContainsFunc(known, func(p netip.Prefix) bool { return !p.IsValid() || p.Addr().Is4() })
}

// podAddresses gives what tells of which IP versions the cluster's pods are: their CIDRs, the subnets of the running CNI configuration, the addresses
// of the pods themselves; where none of these is known, those of the node. It is empty where that was not read either.
func podAddresses(s *facts.Snapshot) []netip.Prefix {
	known := slices.Concat(s.Intent.PodCIDRs, s.Intent.NodePodCIDR, mainPlugin(running(s.CNI)).Subnets)
	global := func(addrs []facts.Address) {
		for _, a := range addrs {
			if a.Scope == "global" {
				known = append(known, a.Prefix)
			}
		}
	}
	for i := range s.Pods {
		global(s.Pods[i].Addresses)
	}
	if len(known) == 0 {
		global(s.Host.Addresses)
	}
	return known
}
