package collect

import (
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// readNodeSysctls reads the values that the pod's packets meet.
func (c *podCollection) readNodeSysctls() (err error) {
	paths := []string{"net/ipv4/ip_forward"}
	if c.ipv6 {
		paths = append(paths, "net/ipv6/conf/all/forwarding")
	}
	for i := range c.s.Host.Links {
		l := &c.s.Host.Links[i]
		if bridge := c.s.Host.Link(l.Master); bridge != nil && bridge.Kind == "bridge" {
			continue // IP sees the bridge's packets, not its port's
		}
		paths = append(paths, "net/ipv4/conf/"+l.Name+"/forwarding")
		if pairKind(l.Kind) && l.PeerNSID != nil {
			paths = append(paths, "net/ipv4/conf/"+l.Name+"/proxy_arp")
		}
		if c.ipv6 {
			paths = append(paths, "net/ipv6/conf/"+l.Name+"/force_forwarding", "net/ipv6/conf/"+l.Name+"/accept_ra", "net/ipv6/conf/"+l.Name+"/proxy_ndp")
		}
	}
	c.s.Host.Sysctls, err = c.node.Sysctls(paths)
	return err
}

// targetPodPaths are the values of a pod that decide whether it uses IPv6.
func targetPodPaths(p *facts.Namespace, ipv6 bool) []string {
	if !ipv6 {
		return nil
	}
	paths := []string{"net/ipv6/conf/all/disable_ipv6"}
	for _, l := range p.Links {
		paths = append(paths, "net/ipv6/conf/"+l.Name+"/accept_ra", "net/ipv6/conf/"+l.Name+"/disable_ipv6")
	}
	return paths
}

// readFiles reads the CNI configuration and who has reserved the pod's addresses.
func (c *podCollection) readFiles() {
	c.step(func() (err error) {
		if c.s.CNI, err = c.host.BriefCNI(); err == nil {
			deriveCIDRs(&c.s.Intent, c.s.CNI)
		}
		return err
	}, facts.KindCNIConfig)
	c.step(func() (err error) {
		var addrs []netip.Addr
		for i := range c.s.Pods {
			for _, a := range c.s.Pods[i].Addresses {
				if a.Scope == "global" {
					addrs = append(addrs, a.Prefix.Addr())
				}
			}
		}
		c.s.IPAM, err = c.host.ReservationsOf(addrs, c.dataDirs()...)
		return err
	}, facts.KindIPAM)
}

// dataDirs are where the configuration lets host-local keep its reservations.
func (c *podCollection) dataDirs() (dirs []string) {
	if c.s.CNI == nil {
		return nil
	}
	for _, f := range c.s.CNI.Files {
		for _, p := range f.Plugins {
			if p.DataDir != "" && !slices.Contains(dirs, p.DataDir) {
				dirs = append(dirs, p.DataDir)
			}
		}
	}
	return dirs
}

// readServices looks up the Services that every pod needs.
func (c *podCollection) readServices() {
	c.step(func() error {
		services := c.s.Intent.Services
		if len(services) == 0 && c.o.Services != nil {
			services = c.o.Services()
		}
		if len(services) == 0 {
			var err error
			if services, err = c.host.DefaultServices(); err != nil {
				return err
			}
		}
		b, err := c.node.BriefServices(services)
		if err != nil {
			return err
		}
		c.s.Proxy, c.s.ServiceVIPs, c.left = &b.Proxy, b.VIPs, b.Left
		c.s.Intent.Services = services
		missing := slices.ContainsFunc(c.s.ServiceVIPs, func(v facts.ServiceVIP) bool { return !v.Found })
		if !missing || !c.s.Node.Kubelet && c.s.Proxy.Mode == "" {
			return nil
		}
		if err := c.late(); err != nil {
			return err
		}
		if c.s.Agents, err = c.host.Carrier(c.s.Proxy); err == nil {
			c.s.Kinds = append(c.s.Kinds, facts.KindAgents)
		}
		return err
	}, facts.KindServiceVIPs, facts.KindProxy)
}
