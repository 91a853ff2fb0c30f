package host

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// ethtoolValue is struct ethtool_value.
type ethtoolValue struct{ cmd, data uint32 }

// TxChecksum reads whether a link leaves checksums to be finished later (ETHTOOL_GTXCSUM, as `ethtool -k DEV` shows in tx-checksumming), with one
// question instead of the three that all features take. ErrAbsent where the link has no such feature, or is gone.
func (e *Ethtool) TxChecksum(link string) (facts.Feature, error) {
	v := ethtoolValue{cmd: unix.ETHTOOL_GTXCSUM}
	if err := e.ioctl(link, unsafe.Pointer(&v)); err != nil {
		return facts.Feature{}, ethtoolError("read transmit checksum", link, err)
	}
	return facts.Feature{On: v.data != 0}, nil
}

// TxChecksum is [Ethtool.TxChecksum] without a socket of its own: ethtool's calls are answered on any socket of the namespace. It must be called inside Do.
func (n *NS) TxChecksum(link string) (facts.Feature, error) {
	l, err := n.route()
	if err != nil {
		return facts.Feature{}, err
	}
	c, ok := l.(*nlConn)
	if !ok {
		return facts.Feature{}, ethtoolError("read transmit checksum", link, unix.EOPNOTSUPP)
	}
	return (&Ethtool{fd: c.fd}).TxChecksum(link)
}
