package collect

import (
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// filterCollectors read packet filters, connection tracking and IPVS.
func filterCollectors() []nsCollector {
	return []nsCollector{
		{facts.KindConntrack, readConntrack},
		{facts.KindTunnelNAT, readTunnelNAT},
		{facts.KindNFTables, readNFTables},
		{facts.KindLegacy, readLegacy},
		{facts.KindIPVS, readIPVS},
	}
}

func readConntrack(n *host.NS, ns *facts.Namespace) (err error) {
	ns.Conntrack, err = n.Conntrack()
	return err
}

// readTunnelNAT looks for the usual ports of vxlan (8472 on Linux, 4789 of RFC 7348) and geneve (6081), and for those that the namespace's tunnels use.
func readTunnelNAT(n *host.NS, ns *facts.Namespace) (err error) {
	ports := []uint16{8472, 4789, 6081}
	for _, l := range ns.Links {
		if l.Tunnel != nil && l.Tunnel.Port != 0 {
			ports = append(ports, l.Tunnel.Port)
		}
	}
	ns.TunnelNAT, err = n.TunnelNAT(ports)
	return err
}

func readNFTables(n *host.NS, ns *facts.Namespace) error {
	return readTables(ns, n.NFTables)
}

func readLegacy(n *host.NS, ns *facts.Namespace) error {
	return readTables(ns, n.Legacy)
}

// readTables adds the tables of one backend to those of the other.
func readTables(ns *facts.Namespace, read func() ([]facts.Table, error)) error {
	tables, err := read()
	if err != nil {
		return err
	}
	ns.Tables = append(ns.Tables, tables...)
	return nil
}

func readIPVS(n *host.NS, ns *facts.Namespace) (err error) {
	ns.IPVS, err = n.IPVS()
	return err
}
