package collect

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// readNodeSysctls reads the values that the pod's packets meet. Those of IPv4 came with the links.
func (c *podCollection) readNodeSysctls() (err error) {
	var paths []string
	told := map[string]string{}
	tell := func(l *facts.Link, name string, setting int) {
		if value, has := c.settings[l.Index].Value(setting); has {
			told["net/ipv4/conf/"+l.Name+"/"+name] = value
		}
	}
	for i := range c.s.Host.Links {
		l := &c.s.Host.Links[i]
		if bridge := c.s.Host.Link(l.Master); bridge != nil && bridge.Kind == "bridge" {
			continue // IP sees the bridge's packets, not its port's
		}
		tell(l, "forwarding", host.Forwarding)
		if pairKind(l.Kind) && l.PeerNSID != nil {
			tell(l, "proxy_arp", host.ProxyARP)
		}
		if c.ipv6 {
			paths = append(paths, "net/ipv6/conf/"+l.Name+"/force_forwarding", "net/ipv6/conf/"+l.Name+"/accept_ra", "net/ipv6/conf/"+l.Name+"/proxy_ndp")
		}
	}
	for _, all := range [...]struct {
		v4   bool
		path string
	}{{true, "net/ipv4/ip_forward"}, {false, "net/ipv6/conf/all/forwarding"}} {
		if !all.v4 && !c.ipv6 {
			continue
		}
		value, has, err := c.node.Forwards(all.v4)
		if err != nil {
			return err
		}
		if has {
			told[all.path] = value
		}
	}
	c.s.Host.Sysctls, err = c.node.Sysctls(paths)
	if err == nil {
		maps.Copy(c.s.Host.Sysctls, told)
	}
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
		ipvs, err := c.ipvsLink()
		if err != nil {
			return err
		}
		b, err := c.node.BriefServices(services, ipvs != 0)
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
