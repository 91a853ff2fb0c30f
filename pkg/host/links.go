package host

import (
	"encoding/binary"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// Links lists the namespace's links without their features. It must be called inside Do.
func (n *NS) Links() ([]facts.Link, error) {
	links, err := list(n, unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg), parseLink)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	return links, nil
}

// linkInfo is IFLA_LINKINFO, whose parts can only be read when all are there.
type linkInfo struct {
	kind, slaveKind string
	data, slaveData []byte
}

// parseLink reads one RTM_NEWLINK message.
func parseLink(b []byte) (facts.Link, bool, error) {
	head, tail, err := split(b, unix.SizeofIfInfomsg)
	if err != nil {
		return facts.Link{}, false, fmt.Errorf("link: %w", err)
	}
	flags := binary.NativeEndian.Uint32(head[8:])
	l := facts.Link{
		Index:    int(int32(binary.NativeEndian.Uint32(head[4:]))),
		Up:       flags&unix.IFF_UP != 0,
		Running:  flags&unix.IFF_RUNNING != 0,
		Loopback: flags&unix.IFF_LOOPBACK != 0,
		Promisc:  flags&unix.IFF_PROMISC != 0,
	}
	var info linkInfo
	var nested error
	err = eachAttr(tail, func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_IFNAME:
			l.Name = attrString(v)
		case unix.IFLA_MTU:
			l.MTU = int(attrUint32(v))
		case unix.IFLA_ADDRESS:
			l.MAC = macString(v)
		case unix.IFLA_MASTER:
			l.Master = int(attrUint32(v))
		case unix.IFLA_LINK:
			l.Parent = int(attrUint32(v))
		case unix.IFLA_LINK_NETNSID:
			id := int(int32(attrUint32(v)))
			l.PeerNSID = &id
		case unix.IFLA_STATS64:
			l.RxDropped, l.TxDropped = linkDrops(v)
		case unix.IFLA_LINKINFO:
			info, nested = parseLinkInfo(v)
		}
	})
	if err == nil {
		err = nested
	}
	if err == nil {
		err = info.apply(&l)
	}
	if err != nil {
		return facts.Link{}, false, fmt.Errorf("link %q: %w", l.Name, err)
	}
	return l, true, nil
}

func parseLinkInfo(b []byte) (linkInfo, error) {
	var i linkInfo
	err := eachAttr(b, func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_INFO_KIND:
			i.kind = attrString(v)
		case unix.IFLA_INFO_DATA:
			i.data = v
		case unix.IFLA_INFO_SLAVE_KIND:
			i.slaveKind = attrString(v)
		case unix.IFLA_INFO_SLAVE_DATA:
			i.slaveData = v
		}
	})
	return i, err
}

func (i *linkInfo) apply(l *facts.Link) error {
	l.Kind = i.kind
	if i.slaveKind == "bridge" {
		port, err := parseBridgePort(i.slaveData)
		if err != nil {
			return err
		}
		l.Port = port
	}
	if i.kind == "vlan" {
		return eachAttr(i.data, func(typ uint16, v []byte) {
			if typ == unix.IFLA_VLAN_ID {
				l.VLAN = int(attrUint16(v))
			}
		})
	}
	t, lower, err := parseTunnel(i.kind, i.data)
	if err != nil || t == nil {
		return err
	}
	l.Tunnel = t
	if lower != 0 { // of vxlan, which IFLA_LINK does not tell
		l.Parent = lower
	}
	return nil
}

func parseBridgePort(b []byte) (*facts.BridgePort, error) {
	p := &facts.BridgePort{}
	err := eachAttr(b, func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_BRPORT_STATE:
			p.State = portState(attrUint8(v))
		case unix.IFLA_BRPORT_MODE:
			p.Hairpin = attrUint8(v) != 0
		}
	})
	return p, err
}

// portState names the states of linux/if_bridge.h.
func portState(s uint8) string {
	names := []string{"disabled", "listening", "learning", "forwarding", "blocking"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprint(s)
}

// linkDrops reads rx_dropped and tx_dropped of struct rtnl_link_stats64.
func linkDrops(v []byte) (rx, tx uint64) {
	const rxDropped, txDropped = 6 * 8, 7 * 8
	if len(v) < txDropped+8 {
		return 0, 0
	}
	return binary.NativeEndian.Uint64(v[rxDropped:]), binary.NativeEndian.Uint64(v[txDropped:])
}

// macString writes an Ethernet address; empty for all zeros, and for the addresses of other lengths that IP tunnels have.
func macString(v []byte) string {
	if len(v) != 6 || [6]byte(v) == [6]byte{} {
		return ""
	}
	return etherString(v)
}

func etherString(v []byte) string { return net.HardwareAddr(v).String() }
