package collect

import (
	"errors"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// readFeatures reads features and drivers of the links that are not the node's end of a pod's link: those are many and say nothing that the pods' own
// kernel does not.
func readFeatures(n *host.NS, ns *facts.Namespace) (err error) {
	if err := readLinks(n, ns); err != nil {
		return err
	}
	e, err := n.Ethtool()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	addressed := map[int]bool{}
	for _, a := range ns.Addresses {
		addressed[a.Link] = addressed[a.Link] || lanAddress(a.Prefix)
	}
	for i := range ns.Links {
		l := &ns.Links[i]
		if pairKind(l.Kind) && l.PeerNSID != nil && !addressed[l.Index] {
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
