package collect

import (
	"context"
	"errors"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

func readCounters(n *host.NS, ns *facts.Namespace) error {
	total, err := n.Counters()
	if err != nil {
		return err
	}
	ns.Counters = &facts.Counters{Total: total}
	return nil
}

func readSoftnet(n *host.NS, ns *facts.Namespace) (err error) {
	ns.Softnet, err = n.Softnet()
	return err
}

// readSockets reads both halves: one that cannot be read makes the kind missing, since a check could not tell which.
func readSockets(n *host.NS, ns *facts.Namespace) error {
	udp, err := n.UDPSockets()
	listeners, err2 := n.Listeners()
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	ns.UDPSockets, ns.Listeners = udp, listeners
	return nil
}

func readNeighbourTable(_ context.Context, h *host.Host, s *facts.Snapshot) error {
	node := h.Node()
	return node.Do(func() (err error) {
		s.NeighbourTable, err = node.NeighbourTable()
		return err
	})
}
