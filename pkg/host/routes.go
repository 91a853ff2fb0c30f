package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// Routes lists the routes of every table of both families, but not those for broadcast, anycast and multicast, nor the cached exceptions. More than
// 200,000 are an error. It must be called inside Do.
func (n *NS) Routes() ([]facts.Route, error) {
	all, err := listFamilies(n, unix.RTM_GETROUTE, unix.SizeofRtMsg, parseRoute)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return all, nil
}

// parseRoute reads one RTM_NEWROUTE message.
func parseRoute(b []byte) (facts.Route, bool, error) {
	head, tail, err := split(b, unix.SizeofRtMsg)
	if err != nil {
		return facts.Route{}, false, fmt.Errorf("route: %w", err)
	}
	family, bits, flags := head[0], int(head[1]), binary.NativeEndian.Uint32(head[8:])
	kind := routeType(head[7])
	dst := anyAddr(family)
	if kind == "" || !dst.IsValid() || flags&unix.RTM_F_CLONED != 0 {
		return facts.Route{}, false, nil
	}
	r := facts.Route{
		Table: int(head[4]), Protocol: routeProtocol(head[5]), Scope: scopeName(head[6]), Type: kind, OnLink: flags&unix.RTNH_F_ONLINK != 0,
	}
	var nested error
	err = eachAttr(tail, func(typ uint16, v []byte) {
		var e error
		switch typ {
		case unix.RTA_DST:
			dst = attrAddr(v)
		case unix.RTA_PREFSRC:
			r.Src = attrAddr(v)
		case unix.RTA_GATEWAY:
			r.Gateway = attrAddr(v)
		case unix.RTA_VIA:
			r.Gateway = viaAddr(v)
		case unix.RTA_OIF:
			r.Link = int(attrUint32(v))
		case unix.RTA_TABLE: // all 32 bits of what the head has 8 of
			r.Table = int(attrUint32(v))
		case unix.RTA_PRIORITY:
			r.Metric = int(attrUint32(v))
		case unix.RTA_METRICS:
			r.MTU, r.MTULock, e = parseRouteMetrics(v)
		case unix.RTA_MULTIPATH:
			r.NextHops, e = parseNextHops(v)
		}
		nested = firstError(nested, e)
	})
	if err := firstError(err, nested); err != nil {
		return facts.Route{}, false, fmt.Errorf("route: %w", err)
	}
	r.Dst = prefixOf(dst, bits)
	return r, r.Dst.IsValid(), nil
}

// parseRouteMetrics reads RTA_METRICS: the MTU and whether its bit is in the set of locked metrics.
func parseRouteMetrics(b []byte) (mtu int, locked bool, err error) {
	err = eachAttr(b, func(typ uint16, v []byte) {
		switch typ {
		case unix.RTAX_MTU:
			mtu = int(attrUint32(v))
		case unix.RTAX_LOCK:
			locked = attrUint32(v)&(1<<unix.RTAX_MTU) != 0
		}
	})
	return mtu, locked, err
}

// parseNextHops reads RTA_MULTIPATH: an array of struct rtnexthop, each with its own attributes behind it.
func parseNextHops(b []byte) ([]facts.NextHop, error) {
	var hops []facts.NextHop
	for len(b) >= unix.SizeofRtNexthop {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtNexthop || size > len(b) {
			return nil, fmt.Errorf("next hop of %d bytes in %d", size, len(b))
		}
		hop := facts.NextHop{Link: int(binary.NativeEndian.Uint32(b[4:]))}
		err := eachAttr(b[unix.SizeofRtNexthop:size], func(typ uint16, v []byte) {
			switch typ {
			case unix.RTA_GATEWAY:
				hop.Gateway = attrAddr(v)
			case unix.RTA_VIA:
				hop.Gateway = viaAddr(v)
			}
		})
		if err != nil {
			return nil, err
		}
		hops = append(hops, hop)
		b = b[min(align4(size), len(b)):]
	}
	return hops, nil
}

// viaAddr reads struct rtvia: a gateway of another family than the route's, behind two bytes of family.
func viaAddr(v []byte) netip.Addr {
	if len(v) < 2 {
		return netip.Addr{}
	}
	return attrAddr(v[2:])
}

// routeType names the types that say where packets go; empty for broadcast, anycast, multicast and the unused ones.
func routeType(t byte) string {
	switch t {
	case unix.RTN_UNICAST:
		return "unicast"
	case unix.RTN_LOCAL:
		return "local"
	case unix.RTN_BLACKHOLE:
		return "blackhole"
	case unix.RTN_UNREACHABLE:
		return "unreachable"
	case unix.RTN_PROHIBIT:
		return "prohibit"
	case unix.RTN_THROW:
		return "throw"
	}
	return ""
}

// routeProtocol names who made a route, as iproute2 does.
func routeProtocol(p byte) string {
	switch p {
	case unix.RTPROT_UNSPEC:
		return "unspec"
	case unix.RTPROT_REDIRECT:
		return "redirect"
	case unix.RTPROT_KERNEL:
		return "kernel"
	case unix.RTPROT_BOOT:
		return "boot"
	case unix.RTPROT_STATIC:
		return "static"
	case unix.RTPROT_RA:
		return "ra"
	case unix.RTPROT_ZEBRA:
		return "zebra"
	case unix.RTPROT_BIRD:
		return "bird"
	case unix.RTPROT_DHCP:
		return "dhcp"
	case unix.RTPROT_KEEPALIVED:
		return "keepalived"
	case unix.RTPROT_BGP:
		return "bgp"
	case unix.RTPROT_OSPF:
		return "ospf"
	}
	return strconv.Itoa(int(p))
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
