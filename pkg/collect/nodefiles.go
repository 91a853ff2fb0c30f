package collect

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// nodeFileCollectors read what is found in the node's files and among its processes, and what is derived from them. The mode of kube-proxy comes before
// the look-ups that depend on it.
func (c *collection) nodeFileCollectors() []nodeCollector {
	return []nodeCollector{
		{facts.KindAgents, readAgents},
		{facts.KindProxy, readProxy},
		{facts.KindServiceVIPs, readServiceVIPs},
		{facts.KindServices, readServices},
		{facts.KindServiceRules, func(context.Context, *host.Host, *facts.Snapshot) error { return c.readServiceRules() }},
		{facts.KindCNIConfig, readCNIConfig},
		{facts.KindIPAM, readIPAM},
		{facts.KindSysctlFiles, readSysctlFiles},
	}
}

func readAgents(_ context.Context, h *host.Host, s *facts.Snapshot) (err error) {
	s.Agents, err = h.Agents()
	return err
}

// readProxy also asks the kube-proxy that runs for its configuration and state.
func readProxy(ctx context.Context, h *host.Host, s *facts.Snapshot) (err error) {
	if s.Proxy, err = proxyOf(ctx, h, s); err != nil || s.Proxy.Replaced != "" {
		return err
	}
	return h.AskProxy(ctx, s.Proxy, s.Taken)
}

// proxyOf lists the agents where no other kind has.
func proxyOf(ctx context.Context, h *host.Host, s *facts.Snapshot) (*facts.Proxy, error) {
	if s.Has(facts.KindAgents) {
		return h.Proxy(ctx, s.Agents, nil)
	}
	agents, err := h.Agents()
	return h.Proxy(ctx, agents, err)
}

// readServiceVIPs looks up the Services that the caller named, or those that every node needs.
func readServiceVIPs(ctx context.Context, h *host.Host, s *facts.Snapshot) error {
	if len(s.Intent.Services) == 0 {
		services, err := h.DefaultServices()
		if err != nil {
			return err
		}
		s.Intent.Services = services
	}
	proxy := s.Proxy
	if proxy == nil {
		var err error
		if proxy, err = proxyOf(ctx, h, s); err != nil {
			return err
		}
	}
	node := h.Node()
	return node.Do(func() (err error) {
		s.ServiceVIPs, err = node.ServiceVIPs(proxy.Mode, s.Intent.Services)
		return err
	})
}

// errNotTold says why there are no Services: the node does not know them, its caller may.
var errNotTold = fmt.Errorf("%w: nobody told which Services the cluster has", host.ErrAbsent)

// readServices has nothing to read: the caller gives them with the intent.
func readServices(_ context.Context, _ *host.Host, s *facts.Snapshot) error {
	if s.Intent.Cluster == nil {
		return errNotTold
	}
	return nil
}

// readCNIConfig also derives which addresses pods have, where the caller did not say.
func readCNIConfig(_ context.Context, h *host.Host, s *facts.Snapshot) (err error) {
	if s.CNI, err = h.CNI(); err != nil {
		return err
	}
	deriveCIDRs(&s.Intent, s.CNI)
	return nil
}

// deriveCIDRs takes the pods' addresses from flannel's subnet file, else from the ranges of the first configuration file that can be used, which is the
// one that the runtime uses. Of the cluster's pods at least this node's are known.
func deriveCIDRs(intent *facts.Intent, c *facts.CNI) {
	var cluster, node []netip.Prefix
	add := func(to *[]netip.Prefix, p netip.Prefix) {
		if p.IsValid() {
			*to = append(*to, p.Masked())
		}
	}
	if f := c.Flannel; f != nil {
		add(&cluster, f.Network)
		add(&cluster, f.IPv6Network)
		add(&node, f.Subnet)
		add(&node, f.IPv6Subnet)
	}
	if len(node) == 0 {
		node = firstSubnets(c)
	}
	if len(cluster) == 0 {
		cluster = node
	}
	if len(intent.PodCIDRs) == 0 {
		intent.PodCIDRs = cluster
	}
	if len(intent.NodePodCIDR) == 0 {
		intent.NodePodCIDR = node
	}
}

func firstSubnets(c *facts.CNI) []netip.Prefix {
	for _, f := range c.Files {
		if f.Error != "" {
			continue
		}
		var all []netip.Prefix
		for _, p := range f.Plugins {
			all = append(all, p.Subnets...)
		}
		return all
	}
	return nil
}

func readIPAM(_ context.Context, h *host.Host, s *facts.Snapshot) (err error) {
	s.IPAM, err = h.IPAM()
	return err
}

func readSysctlFiles(_ context.Context, h *host.Host, s *facts.Snapshot) (err error) {
	s.SysctlFiles, err = h.SysctlFiles()
	return err
}
