package collect

import (
	"maps"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// Merge gives a snapshot with the kinds of the later one and all else of the earlier, both of which stay as they are. The pods are the later one's where
// [facts.KindPods] is among the kinds. Links that are there in both keep the features of the earlier where only the links were read again, and counters the
// deltas of the earlier's window where the later has none.
func Merge(earlier, later *facts.Snapshot, kinds []facts.Kind) *facts.Snapshot {
	s := *earlier
	s.Taken, s.Node = later.Taken, later.Node
	s.Missing = maps.Clone(earlier.Missing)
	for _, k := range kinds {
		delete(s.Missing, k)
		if why, missing := later.Missing[k]; missing {
			if s.Missing == nil {
				s.Missing = map[facts.Kind]string{}
			}
			s.Missing[k] = why
		}
		mergeNode(&s, later, k)
	}
	mergeLinks(&s, earlier, later, kinds)
	for _, k := range kinds {
		mergeNamespace(&s.Host, &later.Host, k)
	}
	mergeTables(&s, later, kinds)
	return &s
}

// mergeNode takes a kind of the node as a whole.
func mergeNode(s, later *facts.Snapshot, k facts.Kind) {
	switch k {
	case facts.KindPods:
		s.Pods = keepPods(s.Pods, later.Pods)
	case facts.KindNeighbourTable:
		keepFill(s.NeighbourTable, later.NeighbourTable)
		s.NeighbourTable = later.NeighbourTable
	case facts.KindServiceVIPs:
		s.ServiceVIPs, s.Intent.Services = later.ServiceVIPs, later.Intent.Services
	case facts.KindServices:
		s.Intent.Cluster = later.Intent.Cluster
	case facts.KindServiceRules:
		s.ServiceRules = later.ServiceRules
	case facts.KindProxy:
		s.Proxy = later.Proxy
	case facts.KindCNIConfig:
		s.CNI, s.Intent.PodCIDRs, s.Intent.NodePodCIDR = later.CNI, later.Intent.PodCIDRs, later.Intent.NodePodCIDR
	case facts.KindIPAM:
		s.IPAM = later.IPAM
	case facts.KindAgents:
		s.Agents = later.Agents
	case facts.KindSysctlFiles:
		s.SysctlFiles = later.SysctlFiles
	}
}

// mergeNamespace takes a kind of the node's namespace that has a field of its own.
func mergeNamespace(n, later *facts.Namespace, k facts.Kind) {
	switch k {
	case facts.KindAddresses:
		n.Addresses = later.Addresses
	case facts.KindRoutes:
		n.Routes = later.Routes
	case facts.KindRules:
		n.Rules = later.Rules
	case facts.KindNeighbours:
		n.Neighbours = later.Neighbours
	case facts.KindFDB:
		n.FDB = later.FDB
	case facts.KindSysctls:
		n.Sysctls = later.Sysctls
	case facts.KindCounters:
		n.Counters = keepCounters(n.Counters, later.Counters)
	case facts.KindSoftnet:
		n.Softnet = keepSoftnet(n.Softnet, later.Softnet)
	case facts.KindSockets:
		n.UDPSockets, n.Listeners = keepSockets(n.UDPSockets, later.UDPSockets), later.Listeners
	case facts.KindConntrack:
		n.Conntrack = keepConntrack(n.Conntrack, later.Conntrack)
	case facts.KindTunnelNAT:
		n.TunnelNAT = later.TunnelNAT
	case facts.KindIPVS:
		n.IPVS = later.IPVS
	}
}

// mergeLinks takes links and features, which share a field, and drops the pods whose end on the node is gone.
func mergeLinks(s, earlier, later *facts.Snapshot, kinds []facts.Kind) {
	has := func(k facts.Kind) bool { return slices.Contains(kinds, k) }
	links, features := has(facts.KindLinks) || has(facts.KindTunnels) || has(facts.KindPodLinks), has(facts.KindFeatures)
	if !links && !features {
		return
	}
	from, with := earlier.Host.Links, later.Host.Links // of which the links are, and of which the features
	if links {
		from = later.Host.Links
	}
	if !features {
		with = earlier.Host.Links
	}
	was := index(earlier.Host.Links)
	feature := index(with)
	out := make([]facts.Link, len(from))
	for i, l := range from {
		l.Driver, l.Features = "", nil
		if f := feature[l.Index]; f != nil && sameLink(&l, f) {
			l.Driver, l.Features = f.Driver, f.Features
		}
		if e := was[l.Index]; l.DeltaRx == nil && l.DeltaTx == nil && e != nil && sameLink(&l, e) {
			l.DeltaRx, l.DeltaTx = e.DeltaRx, e.DeltaTx
		}
		out[i] = l
	}
	if from == nil {
		out = nil
	}
	s.Host.Links = out
	if links && !has(facts.KindPods) {
		s.Pods = podsLeft(s)
	}
}

func index(links []facts.Link) map[int]*facts.Link {
	m := make(map[int]*facts.Link, len(links))
	for i := range links {
		m[links[i].Index] = &links[i]
	}
	return m
}

// sameLink tells a link from a later one that has got its number.
func sameLink(a, b *facts.Link) bool { return a.Name == b.Name && a.Kind == b.Kind && a.MAC == b.MAC }

// podsLeft gives the pods that still hang on a link of the node. What was read of one whose pair is gone is no state of a pod.
func podsLeft(s *facts.Snapshot) []facts.Namespace {
	node := index(s.Host.Links)
	gone := func(p facts.Namespace) bool {
		pairs := false
		for i := range p.Links {
			l := &p.Links[i]
			if childKind(l.Kind) {
				return false
			}
			if !pairKind(l.Kind) {
				continue
			}
			pairs = true
			if other := node[l.Parent]; other != nil && paired(l, other, p.NSID) {
				return false
			}
		}
		return pairs
	}
	if !slices.ContainsFunc(s.Pods, gone) {
		return s.Pods
	}
	return slices.DeleteFunc(slices.Clone(s.Pods), gone)
}

// mergeTables takes the packet filters of either backend, which share a field, in the order in which they are collected.
func mergeTables(s, later *facts.Snapshot, kinds []facts.Kind) {
	if !slices.Contains(kinds, facts.KindNFTables) && !slices.Contains(kinds, facts.KindLegacy) {
		return
	}
	var out []facts.Table
	for _, b := range []struct {
		backend string
		kind    facts.Kind
	}{{facts.BackendNFT, facts.KindNFTables}, {facts.BackendLegacy, facts.KindLegacy}} {
		from := &s.Host
		if slices.Contains(kinds, b.kind) {
			from = &later.Host
		}
		for _, t := range from.Tables {
			if t.Backend == b.backend {
				keepChains(&s.Host, &t)
				out = append(out, t)
			}
		}
	}
	s.Host.Tables = out
}
