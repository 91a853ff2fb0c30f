package collect

import (
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// readLinks reads the links where an earlier kind has not.
func readLinks(n *host.NS, ns *facts.Namespace) (err error) {
	if ns.Links == nil {
		ns.Links, err = n.Links()
	}
	return err
}

// readAddresses reads the addresses where the search for pods has not.
func readAddresses(n *host.NS, ns *facts.Namespace) (err error) {
	if ns.Addresses == nil {
		ns.Addresses, err = n.Addresses()
	}
	return err
}

func readRoutes(n *host.NS, ns *facts.Namespace) (err error) {
	ns.Routes, err = n.Routes()
	return err
}

func readRules(n *host.NS, ns *facts.Namespace) (err error) {
	ns.Rules, err = n.Rules()
	return err
}

func readNeighbours(n *host.NS, ns *facts.Namespace) (err error) {
	ns.Neighbours, err = n.Neighbours()
	return err
}

func readFDB(n *host.NS, ns *facts.Namespace) (err error) {
	ns.FDB, err = n.FDB()
	return err
}
