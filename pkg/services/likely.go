package services

import (
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services/internal/chainhash"
)

// Likely tells which endpoints a Service's port has on most nodes, so that they can be asked for by their names. It knows nothing of policies, hints and the node;
// what a node must have is [Want]'s to say. A nil one knows no endpoints. It is for one goroutine at a time.
type Likely struct {
	cluster *facts.Cluster
	sum256  func([]byte) [32]byte
	index   *sliceIndex // nil: nobody has asked yet
}

// NewLikely is nil where nothing is known of the cluster. SHA-256 is for the names; nil: our own.
func NewLikely(c *facts.Cluster, sum256 func([]byte) [32]byte) *Likely {
	if c == nil {
		return nil
	}
	if sum256 == nil {
		sum256 = chainhash.Sum256
	}
	return &Likely{cluster: c, sum256: sum256}
}

// AppendName appends the name of an endpoint's chain in nftables mode. The port is named as for [Likely.Endpoints].
func (l *Likely) AppendName(name []byte, port string, endpoint netip.AddrPort) []byte {
	return appendNFTEndpoint(append(name, NFTPrefixEndpoint...), port, endpoint, l.sum256)
}

// Endpoints appends those of a port that is named "namespace/name/protocol/port" as chains of nftables mode are, each once: those that are ready, and where none is,
// those that still serve. A name that is no such one has none.
func (l *Likely) Endpoints(list []netip.AddrPort, port string, family int) []netip.AddrPort {
	service, protocol, portName, ok := SplitNFT(port)
	if l == nil || !ok {
		return list
	}
	if l.index == nil {
		l.index = newSliceIndex(l.cluster)
	}
	indexes := l.index.of(service)
	from := len(list)
	for _, draining := range [...]bool{false, true} {
		for _, i := range indexes {
			s := &l.cluster.Slices[i]
			p := slices.IndexFunc(s.Ports, func(p facts.EndpointPort) bool { return p.Name == portName && p.Protocol == protocol })
			if s.Family != family || p < 0 {
				continue
			}
			for j := range s.Endpoints {
				e := &s.Endpoints[j]
				if !draining && e.Ready || draining && e.Serving && e.Terminating {
					list = append(list, netip.AddrPortFrom(e.Addr.Unmap(), s.Ports[p].Port))
				}
			}
		}
		if len(list) > from {
			break
		}
	}
	found := list[from:]
	slices.SortFunc(found, netip.AddrPort.Compare)
	return list[:from+len(slices.Compact(found))]
}
