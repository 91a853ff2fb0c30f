package collect

import (
	"context"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// nsCollector reads one kind of one namespace; it is called on a thread that lives in it, after those that stand before it in the table.
type nsCollector struct {
	kind facts.Kind
	read func(*host.NS, *facts.Namespace) error
}

// nodeCollector reads one kind of the node, after the kinds of its namespaces.
type nodeCollector struct {
	kind facts.Kind
	read func(context.Context, *host.Host, *facts.Snapshot) error
}

// nsCollectors is the table of what can be read of a namespace. Tunnels and pods' links come with the links.
func nsCollectors() []nsCollector {
	return append([]nsCollector{
		{facts.KindLinks, readLinks},
		{facts.KindTunnels, readLinks},
		{facts.KindPodLinks, readLinks},
		{facts.KindAddresses, readAddresses},
		{facts.KindRoutes, readRoutes},
		{facts.KindRules, readRules},
		{facts.KindNeighbours, readNeighbours},
		{facts.KindFDB, readFDB},
		{facts.KindFeatures, readFeatures},
		{facts.KindSysctls, readSysctls},
		{facts.KindCounters, readCounters},
		{facts.KindSoftnet, readSoftnet},
		{facts.KindSockets, readSockets},
	}, filterCollectors()...)
}

// nodeCollectors is the table of what can be read of a node. Pods are not in it: they are namespaces.
func (c *collection) nodeCollectors() []nodeCollector {
	return append([]nodeCollector{
		{facts.KindNeighbourTable, readNeighbourTable},
	}, c.nodeFileCollectors()...)
}
