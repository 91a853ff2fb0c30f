package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// What x/sys does not name of linux/ip_vs.h.
const (
	ipvsGetService = 4 // IPVS_CMD_GET_SERVICE
	ipvsAttrServer = 1 // IPVS_CMD_ATTR_SERVICE

	ipvsServerAF       = 1
	ipvsServerProtocol = 2
	ipvsServerAddr     = 3
	ipvsServerPort     = 4
	ipvsServerTimeout  = 8
)

// ipvsTimeouts reads for how many seconds clients stay with a destination, which /proc/net/ip_vs tells in the kernel's own ticks. Where it finds another
// number of virtual servers than that text, the text is not whole, and the error wraps [ErrInterrupted]. It must be called only where that file exists: asking
// for the netlink family where the module is not loaded would load it. It takes CAP_NET_ADMIN.
func ipvsTimeouts(servers int) (map[svcFront]uint32, error) {
	c, err := openNetlink(unix.NETLINK_GENERIC, new(buffers))
	if err != nil {
		return nil, err
	}
	timeouts, err := readIPVSTimeouts(c)
	if err = errors.Join(err, c.close()); err == nil && len(timeouts) != servers {
		err = fmt.Errorf("/proc/net/ip_vs has %d of %d virtual servers, as it may where other network namespaces have some too: %w", servers, len(timeouts), ErrInterrupted)
	}
	return timeouts, err
}

func readIPVSTimeouts(c *nlConn) (map[svcFront]uint32, error) {
	id := uint16(0)
	ask := appendAttr([]byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}, unix.CTRL_ATTR_FAMILY_NAME, nulString("IPVS"))
	err := c.request(unix.GENL_ID_CTRL, 0, ask, func(m nlMsg) error {
		if len(m.Body) >= unix.GENL_HDRLEN {
			id = attrUint16(attrOf(m.Body[unix.GENL_HDRLEN:], unix.CTRL_ATTR_FAMILY_ID))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find the netlink family of IPVS: %w", err)
	}
	timeouts := map[svcFront]uint32{}
	err = c.dump(id, []byte{ipvsGetService, 1, 0, 0}, func(m nlMsg) error {
		if len(m.Body) < unix.GENL_HDRLEN {
			return errCut
		}
		front, timeout := parseIPVSTimeout(attrOf(m.Body[unix.GENL_HDRLEN:], ipvsAttrServer))
		if front.proto != 0 && len(timeouts) < maxIPVS {
			timeouts[front] = timeout
		}
		return nil
	})
	return timeouts, err
}

// parseIPVSTimeout reads one virtual server; one of a firewall mark has no protocol.
func parseIPVSTimeout(b []byte) (front svcFront, timeout uint32) {
	var addr []byte
	family := uint16(unix.AF_INET)
	for a := (nlAttrs{rest: b}); a.next(); {
		switch a.typ {
		case ipvsServerAF:
			family = attrUint16(a.v)
		case ipvsServerProtocol:
			front.proto = uint8(attrUint16(a.v))
		case ipvsServerAddr:
			addr = a.v
		case ipvsServerPort:
			if len(a.v) >= 2 {
				front.port = binary.BigEndian.Uint16(a.v)
			}
		case ipvsServerTimeout:
			timeout = attrUint32(a.v)
		}
	}
	if family == unix.AF_INET && len(addr) > 4 {
		addr = addr[:4] // of a union of 16 bytes
	}
	front.addr, _ = netip.AddrFromSlice(addr)
	return front, timeout
}
