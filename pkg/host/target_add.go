package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// AddAddress is `ip addr add PREFIX dev LINK nodad`, for an address that was there before. One that is there is no error. It must be called inside Do.
func (n *NS) AddAddress(link int, p netip.Prefix) error {
	head := familyHeader(addressFamily(p.Addr().Is4()), unix.SizeofIfAddrmsg)
	head[1], head[2] = byte(p.Bits()), unix.IFA_F_NODAD
	binary.NativeEndian.PutUint32(head[4:], uint32(link))
	body := appendAttr(head, unix.IFA_LOCAL, p.Addr().AsSlice())
	return n.create(unix.RTM_NEWADDR, appendAttr(body, unix.IFA_ADDRESS, p.Addr().AsSlice()), "add address "+p.String())
}

// AddRoute is `ip route add DST via GATEWAY dev LINK`, in the main table; without a gateway the destination is on the link. A route that is there is no error.
// It must be called inside Do.
func (n *NS) AddRoute(link int, dst netip.Prefix, gateway netip.Addr) error {
	head := familyHeader(addressFamily(dst.Addr().Is4()), unix.SizeofRtMsg)
	head[1], head[4], head[5], head[6], head[7] = byte(dst.Bits()), unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST
	body := appendAttr(head, unix.RTA_DST, dst.Masked().Addr().AsSlice())
	body = appendAttr(body, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(link)))
	if gateway.IsValid() {
		body = appendAttr(body, unix.RTA_GATEWAY, gateway.AsSlice())
	} else if dst.Addr().Is4() {
		body[6] = unix.RT_SCOPE_LINK
	}
	return n.create(unix.RTM_NEWROUTE, body, "add route to "+dst.String())
}

func (n *NS) create(typ uint16, body []byte, what string) error {
	l, err := n.route()
	if err == nil {
		err = l.request(typ, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, body, nil)
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
