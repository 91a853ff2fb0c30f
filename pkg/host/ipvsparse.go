package host

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// Attributes of linux/ip_vs.h: IPVS_SVC_ATTR_ and IPVS_DEST_ATTR_.
const (
	ipvsServerAF       = 1
	ipvsServerProtocol = 2
	ipvsServerAddr     = 3
	ipvsServerPort     = 4
	ipvsServerFlags    = 7
	ipvsServerTimeout  = 8

	ipvsDestAddr   = 1
	ipvsDestPort   = 2
	ipvsDestWeight = 4
	ipvsDestFamily = 11

	ipvsPersistent = 1 // IP_VS_SVC_F_PERSISTENT
)

// parseIPVSServer reads one virtual server; one of a firewall mark has no protocol.
func parseIPVSServer(m nlMsg) (s virtualServer, err error) {
	if len(m.Body) < unix.GENL_HDRLEN {
		return s, errCut
	}
	var addr []byte
	var flags, timeout uint32
	family := uint16(0)
	for a := (nlAttrs{rest: attrOf(m.Body[unix.GENL_HDRLEN:], ipvsAttrServer)}); a.next(); {
		switch a.typ {
		case ipvsServerAF:
			family = attrUint16(a.v)
		case ipvsServerProtocol:
			s.front.proto = uint8(attrUint16(a.v))
		case ipvsServerAddr:
			addr = a.v
		case ipvsServerPort:
			s.front.port = attrBE16(a.v)
		case ipvsServerFlags: // struct ip_vs_flags, whose first half they are
			flags = attrUint32(a.v)
		case ipvsServerTimeout:
			timeout = attrUint32(a.v)
		}
	}
	if s.front.proto == 0 {
		return s, nil
	}
	if flags&ipvsPersistent != 0 {
		s.affinity = timeout
	}
	s.front.addr, err = ipvsAddr(family == unix.AF_INET6, addr)
	return s, err
}

// parseIPVSDest reads one destination. A kernel that does not tell its family, one before 3.18, knows but that of its server.
func parseIPVSDest(m nlMsg, six bool) (b facts.ServiceBackend, err error) {
	if len(m.Body) < unix.GENL_HDRLEN {
		return b, errCut
	}
	var addr []byte
	port := uint16(0)
	for a := (nlAttrs{rest: attrOf(m.Body[unix.GENL_HDRLEN:], ipvsAttrDest)}); a.next(); {
		switch a.typ {
		case ipvsDestAddr:
			addr = a.v
		case ipvsDestPort:
			port = attrBE16(a.v)
		case ipvsDestWeight:
			b.Weight = attrUint32(a.v)
		case ipvsDestFamily:
			six = attrUint16(a.v) == unix.AF_INET6
		}
	}
	ip, err := ipvsAddr(six, addr)
	b.Addr = netip.AddrPortFrom(ip, port)
	return b, err
}

// ipvsAddr reads an address, which stands in a union of 16 bytes.
func ipvsAddr(six bool, b []byte) (netip.Addr, error) {
	switch {
	case six && len(b) >= 16:
		return netip.AddrFrom16([16]byte(b)), nil
	case !six && len(b) >= 4:
		return netip.AddrFrom4([4]byte(b)), nil
	}
	return netip.Addr{}, errors.New("an address of IPVS that is cut short")
}
