package host

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// What x/sys does not name of linux/netfilter/ipset/ip_set.h.
const (
	ipsetList = 6<<8 | 7 // NFNL_SUBSYS_IPSET, IPSET_CMD_LIST

	ipsetProtocol     = 1
	ipsetSetName      = 2
	ipsetTypeName     = 3
	ipsetFlags        = 6
	ipsetData         = 7
	ipsetADT          = 8
	ipsetIndex        = 11
	ipsetListHeader   = 1 << 2
	ipsetProtocolMust = 7 // the version from which on the kernel tells a set's index (4.20)

	ipsetIP    = 1
	ipsetPort  = 4
	ipsetProto = 7
	ipsetIP2   = 20
	ipsetCIDR2 = 21

	maxIPSetMembers = 1 << 20
)

// ipsetMember is an element of a set of kube-proxy's.
type ipsetMember struct {
	front  svcFront
	source netip.Prefix // of sets with a third part
}

// ipsetNames lists the sets whose name starts so, by the index by which rules refer to them.
func ipsetNames(nf nfDumper, prefix string) (map[uint16]string, error) {
	names := map[uint16]string{}
	body := appendAttr([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0}, ipsetProtocol, []byte{ipsetProtocolMust})
	body = appendAttr(body, ipsetFlags|unix.NLA_F_NET_BYTEORDER, binary.BigEndian.AppendUint32(nil, ipsetListHeader))
	err := nf.dump(ipsetList, body, func(m nlMsg) error {
		if m.Type != ipsetList || len(m.Body) < nfgenmsgLen {
			return nil
		}
		var name, index []byte
		for a := (nlAttrs{rest: m.Body[nfgenmsgLen:]}); a.next(); {
			switch a.typ {
			case ipsetSetName:
				name = trimNul(a.v)
			case ipsetIndex:
				index = a.v
			}
		}
		if strings.HasPrefix(string(name), prefix) && len(index) >= 2 && len(names) < maxSets {
			names[attrBE16(index)] = string(name)
		}
		return nil
	})
	if errors.Is(err, unix.EINVAL) { // a kernel without sets
		err = nil
	}
	return names, err
}

// ipsetMembers gives each element of a set to fn; an absent one has none.
func ipsetMembers(nf nfDumper, set string, fn func(ipsetMember)) error {
	body := appendAttr([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0}, ipsetProtocol, []byte{ipsetProtocolMust})
	body = appendAttr(body, ipsetSetName, nulString(set))
	count := 0
	err := nf.dump(ipsetList, body, func(m nlMsg) error {
		if m.Type != ipsetList || len(m.Body) < nfgenmsgLen {
			return nil
		}
		var name, list []byte
		a := nlAttrs{rest: m.Body[nfgenmsgLen:]}
		for a.next() {
			switch a.typ {
			case ipsetSetName:
				name = trimNul(a.v)
			case ipsetADT:
				list = a.v
			}
		}
		if string(name) != set {
			return nil
		}
		elements := nlAttrs{rest: list}
		for elements.next() {
			if elements.typ != ipsetData {
				continue
			}
			if count++; count > maxIPSetMembers {
				return errors.New("a set with too many elements")
			}
			fn(parseIPSetMember(elements.v))
		}
		if a.cut || elements.cut {
			return errCut
		}
		return nil
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

func parseIPSetMember(b []byte) (m ipsetMember) {
	var source netip.Addr
	ones := -1
	for a := (nlAttrs{rest: b}); a.next(); {
		switch a.typ {
		case ipsetIP:
			m.front.addr = ipsetAddr(a.v)
		case ipsetPort:
			m.front.port = attrBE16(a.v)
		case ipsetProto:
			m.front.proto = attrUint8(a.v)
		case ipsetIP2:
			source = ipsetAddr(a.v)
		case ipsetCIDR2:
			ones = int(attrUint8(a.v))
		}
	}
	if source.IsValid() {
		if ones < 0 {
			ones = source.BitLen()
		}
		m.source = netip.PrefixFrom(source, ones)
	}
	return m
}

// ipsetAddr decodes a nested address of either family.
func ipsetAddr(b []byte) netip.Addr {
	a := nlAttrs{rest: b}
	a.next()
	return attrAddr(a.v)
}
