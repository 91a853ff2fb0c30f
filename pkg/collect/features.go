package collect

import (
	"errors"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// readFeatures reads features and drivers of the links that are not the node's end of a pod's link: those are many and say nothing that a check needs.
func readFeatures(n *host.NS, ns *facts.Namespace) (err error) {
	if err := readLinks(n, ns); err != nil {
		return err
	}
	e, err := n.Ethtool()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	podEnd := podEnds(ns)
	for i := range ns.Links {
		l := &ns.Links[i]
		if podEnd[l.Name] {
			continue
		}
		if l.Driver, err = e.Driver(l.Name); err != nil && !errors.Is(err, host.ErrAbsent) {
			return err
		}
		if l.Features, err = e.Features(l.Name); err != nil && !errors.Is(err, host.ErrAbsent) {
			return err
		}
	}
	return nil
}

// podEnds names the links that look like the node's ends of pods' links: pairs with the other end in another namespace, but not those with an address
// of a LAN, which are uplinks of a node that lives in a namespace itself.
func podEnds(ns *facts.Namespace) map[string]bool {
	lan := map[int]bool{}
	for _, a := range ns.Addresses {
		lan[a.Link] = lan[a.Link] || lanAddress(a.Prefix)
	}
	ends := map[string]bool{}
	for _, l := range ns.Links {
		if pairKind(l.Kind) && l.PeerNSID != nil && !lan[l.Index] {
			ends[l.Name] = true
		}
	}
	return ends
}
