package collect

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// Bounds of what is read of the node for one pod; a node has a tenth of each.
const (
	maxTargetLinks  = 64
	maxTargetTables = 8
)

// readNodeNamespace reads what the pod's packets meet in the node's namespace. It is called inside Do.
func (c *podCollection) readNodeNamespace() {
	c.step(c.readPodEnds, facts.KindPodLinks)
	c.step(c.readNodeAddresses, facts.KindAddresses)
	c.step(func() (err error) { c.s.Host.Rules, err = c.node.RulesOf(c.ipv6 || c.o.NetNS == ""); return err }, facts.KindRules)
	c.step(c.readNodeRoutes, facts.KindRoutes)
	c.step(c.readTunnels, facts.KindTunnels)
	c.step(c.readTunnelFeatures, facts.KindFeatures)
	c.step(c.readNodeSysctls, facts.KindSysctls)
	c.step(func() error {
		var err error
		c.s.Host.Conntrack, err = c.node.ConntrackFill()
		return err
	}, facts.KindConntrack)
	c.step(c.readNeighbourFill, facts.KindNeighbourTable)
}

// link reads a link of the node once; nil where there is none.
func (c *podCollection) link(index int) (*facts.Link, error) {
	ns := &c.s.Host
	if l := ns.Link(index); l != nil || index <= 0 || len(ns.Links) >= maxTargetLinks {
		return l, nil
	}
	l, settings, err := c.node.LinkSettings(index)
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ns.Links = append(ns.Links, *l)
	c.settings[index] = settings
	return l, nil
}

// withMasters reads a link and what it belongs to: a port's bridge, that one's VRF.
func (c *podCollection) withMasters(index int) error {
	for range 3 {
		l, err := c.link(index)
		if err != nil || l == nil {
			return err
		}
		index = l.Master
	}
	return nil
}

// readPodEnds reads the node's ends of the pod's links and the bridges that they are ports of; of a macvlan and the like the link below.
func (c *podCollection) readPodEnds() error {
	for i := range c.s.Pods {
		p := &c.s.Pods[i]
		for _, l := range p.Links {
			if l.PeerNSID == nil || l.Parent == 0 || !pairKind(l.Kind) && !childKind(l.Kind) {
				continue
			}
			if err := c.withMasters(l.Parent); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *podCollection) readNodeAddresses() error {
	services, err := c.ipvsLink()
	if err != nil {
		return err
	}
	own := map[int]bool{}
	for i := range c.s.Host.Links {
		own[c.s.Host.Links[i].Index] = true
	}
	all, err := c.node.AddressesIf(c.ipv6 || c.o.NetNS == "", func(link int, linkLocal bool) bool { return link != services && (!linkLocal || own[link]) })
	if err != nil {
		return err
	}
	c.s.Host.Addresses = all
	for _, a := range all { // whoever has an address of the pod as well
		if c.podHas(a.Prefix.Addr()) {
			if err := c.withMasters(a.Link); err != nil {
				return err
			}
		}
	}
	return nil
}

// ipvsLink is the index of the link that has the addresses of Services in IPVS mode; 0 where there is none. It is asked for once.
func (c *podCollection) ipvsLink() (int, error) {
	if c.ipvs == nil {
		l, err := c.node.LinkNamed("kube-ipvs0")
		switch {
		case err == nil:
			c.ipvs = &l.Index
		case isAbsent(err):
			c.ipvs = new(0)
		default:
			return 0, err
		}
	}
	return *c.ipvs, nil
}

// podHas says whether an address is one of the pod's.
func (c *podCollection) podHas(a netip.Addr) bool {
	for i := range c.s.Pods {
		if slices.ContainsFunc(c.s.Pods[i].Addresses, func(b facts.Address) bool { return b.Prefix.Addr() == a && b.Scope == "global" }) {
			return true
		}
	}
	return false
}

// readNodeRoutes reads the main table, and the tables that rules send unmarked packets to. Routes to link-local addresses, of which each link has one, and
// routes to other pods say nothing about this one.
func (c *podCollection) readNodeRoutes() error {
	tables := []int{facts.TableMain}
	for _, r := range c.s.Host.Rules {
		if r.Action == "" && r.Mark&r.Mask == 0 && r.Table != facts.TableLocal && r.Table != 0 && len(tables) < maxTargetTables && !slices.Contains(tables, r.Table) {
			tables = append(tables, r.Table)
		}
	}
	six := c.ipv6 || slices.ContainsFunc(c.s.Host.Addresses, global6)
	for _, table := range tables {
		for _, v4 := range [...]bool{true, false} {
			if !v4 && !six {
				continue
			}
			routes, err := c.node.TableRoutes(table, v4)
			if err != nil {
				return err
			}
			for _, r := range routes {
				if !r.Dst.Addr().IsLinkLocalUnicast() && (!r.Dst.IsSingleIP() || r.Gateway.IsValid() || c.podHas(r.Dst.Addr())) {
					c.s.Host.Routes = append(c.s.Host.Routes, r)
				}
			}
		}
	}
	for i := range c.s.Host.Routes {
		r := &c.s.Host.Routes[i]
		if r.Table != facts.TableMain {
			continue
		}
		for _, index := range r.Egress() {
			if _, err := c.link(index); err != nil {
				return err
			}
		}
	}
	return nil
}

// readTunnels reads the links under the tunnels that routes lead into, the owners of their addresses, and where a tunnel is bound to no link its peers.
func (c *podCollection) readTunnels() error {
	ns := &c.s.Host
	for i := 0; i < len(ns.Links); i++ {
		l := ns.Links[i]
		if l.Tunnel == nil {
			continue
		}
		if l.PeerNSID == nil {
			if err := c.withMasters(l.Parent); err != nil {
				return err
			}
		}
		if err := c.readOwner(l.Tunnel.Local.Unmap()); err != nil {
			return err
		}
		if l.Kind == "vxlan" && ns.Link(l.Parent) == nil && !l.Tunnel.Collect {
			fdb, err := c.node.FDBOf(l.Index)
			if err != nil {
				return err
			}
			ns.FDB = append(ns.FDB, fdb...)
		}
	}
	return nil
}

// readOwner reads the link that has an address; for one that no link has, whether a route makes it local.
func (c *podCollection) readOwner(a netip.Addr) error {
	if !a.IsValid() {
		return nil
	}
	for _, own := range c.s.Host.Addresses {
		if own.Prefix.Addr() == a {
			return c.withMasters(own.Link)
		}
	}
	local, err := c.node.LocalRoute(a)
	if err == nil && local {
		c.s.Host.Routes = append(c.s.Host.Routes, facts.Route{Dst: netip.PrefixFrom(a, a.BitLen()), Type: "local", Scope: "host", Protocol: "kernel", Table: facts.TableLocal})
	}
	return err
}

func (c *podCollection) readTunnelFeatures() error {
	for i := range c.s.Host.Links {
		l := &c.s.Host.Links[i]
		if l.Kind != "vxlan" && l.Kind != "geneve" {
			continue
		}
		f, err := c.node.TxChecksum(l.Name)
		if isAbsent(err) {
			continue
		}
		if err != nil {
			return err
		}
		l.Features = map[string]facts.Feature{facts.FeatureTxChecksum: f}
	}
	return nil
}

// readNeighbourFill reads the entries themselves only where the table is nearly full: only then it matters which of them do not count.
func (c *podCollection) readNeighbourFill() error {
	t, err := c.node.NeighbourTable()
	if err != nil {
		return err
	}
	c.s.NeighbourTable = t
	for _, fill := range [...]*facts.TableFill{t.ARP, t.NDP} {
		if fill != nil && fill.GCThresh3 != nil && 10*fill.Entries >= 9**fill.GCThresh3 && !c.s.Has(facts.KindNeighbours) {
			if c.s.Host.Neighbours, err = c.node.Neighbours(); err != nil {
				return err
			}
			c.s.Kinds = append(c.s.Kinds, facts.KindNeighbours)
		}
	}
	return nil
}

func isAbsent(err error) bool { return errors.Is(err, host.ErrAbsent) }
