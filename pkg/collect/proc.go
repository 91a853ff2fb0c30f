package collect

import (
	"context"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

func readCounters(n *host.NS, ns *facts.Namespace) error {
	c, err := n.Counters(nil, nil)
	if err != nil {
		return err
	}
	ns.Counters = &facts.Counters{Total: c.Total}
	return nil
}

func readSoftnet(n *host.NS, ns *facts.Namespace) (err error) {
	ns.Softnet, err = n.Softnet()
	return err
}

func readSockets(n *host.NS, ns *facts.Namespace) (err error) {
	ns.UDPSockets, ns.Listeners, err = n.Sockets()
	return err
}

func readNeighbourTable(_ context.Context, h *host.Host, s *facts.Snapshot) error {
	node := h.Node()
	return node.Do(func() (err error) {
		s.NeighbourTable, err = node.NeighbourTable()
		return err
	})
}
