package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// minMTU is IPv6's (RFC 8200, section 5). Below it the kernel deletes the link's IPv6 addresses, which no later write brings back.
const minMTU = 1280

// linkOf finds the change's link by its index and makes sure that it still has the name. Without an index the name is enough.
func linkOf(c fix.Change) (link facts.Link, err error) {
	query := ifinfo(unix.AF_UNSPEC, c.On.Index)
	if c.On.Index == 0 {
		query = appendAttr(query, unix.IFLA_IFNAME, append([]byte(c.On.Name), 0))
	}
	err = withRoute(func(nl *nlConn) error {
		return nl.request(unix.RTM_GETLINK, 0, query, func(m nlMsg) error {
			link, _, err = parseLink(m.Body)
			return err
		})
	})
	switch {
	case errors.Is(err, unix.ENODEV):
		return link, fmt.Errorf("%w: no link %d %s", ErrGone, c.On.Index, c.On.Name)
	case err != nil:
		return link, err
	case link.Name != c.On.Name:
		return link, fmt.Errorf("%w: link %d is %q now", ErrGone, c.On.Index, link.Name)
	}
	return link, nil
}

func withRoute(fn func(*nlConn) error) error {
	nl, err := openNetlink(unix.NETLINK_ROUTE, new(buffers))
	if err != nil {
		return err
	}
	return errors.Join(fn(nl), nl.close())
}

// ifinfo is a struct ifinfomsg.
func ifinfo(family byte, index int) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	b[0] = family
	binary.NativeEndian.PutUint32(b[4:], uint32(int32(index)))
	return b
}

// setLink sends an RTM_SETLINK with one attribute.
func setLink(family byte, index int, attr uint16, value []byte) error {
	return withRoute(func(nl *nlConn) error {
		return nl.request(unix.RTM_SETLINK, unix.NLM_F_ACK, appendAttr(ifinfo(family, index), attr, value), nil)
	})
}

func getMTU(_ *Host, _ *NS, c fix.Change) (string, error) {
	l, err := linkOf(c)
	return strconv.Itoa(l.MTU), err
}

// setMTU is `ip link set dev NAME mtu N`. It lowers one end only; a bridge without an MTU of its own follows its ports.
func setMTU(_ *Host, _ *NS, c fix.Change) error {
	mtu, err := strconv.ParseUint(c.To, 10, 31)
	if err != nil {
		return fmt.Errorf("parse MTU: %w", err)
	}
	if mtu < minMTU {
		return fmt.Errorf("an MTU below %d would delete the link's IPv6 addresses", minMTU)
	}
	l, err := linkOf(c)
	if err != nil {
		return err
	}
	return setLink(unix.AF_UNSPEC, l.Index, unix.IFLA_MTU, binary.NativeEndian.AppendUint32(nil, uint32(mtu)))
}

func getHairpin(_ *Host, _ *NS, c fix.Change) (string, error) {
	l, err := linkOf(c)
	switch {
	case err != nil:
		return "", err
	case l.Port == nil:
		return "", fmt.Errorf("%w: it is no port of a bridge", ErrGone)
	}
	return onOff(l.Port.Hairpin), nil
}

// setHairpin is `bridge link set dev NAME hairpin on|off`.
func setHairpin(h *Host, ns *NS, c fix.Change) error {
	if _, err := getHairpin(h, ns, c); err != nil {
		return err
	}
	on, err := parseOnOff(c.To)
	if err != nil {
		return err
	}
	mode := []byte{0}
	if on {
		mode[0] = 1
	}
	return setLink(unix.AF_BRIDGE, c.On.Index, unix.IFLA_PROTINFO|unix.NLA_F_NESTED, appendAttr(nil, unix.IFLA_BRPORT_MODE, mode))
}

func onOff(on bool) string {
	if on {
		return fix.On
	}
	return fix.Off
}

func parseOnOff(v string) (bool, error) {
	if v != fix.On && v != fix.Off {
		return false, fmt.Errorf("%q is neither %s nor %s", v, fix.On, fix.Off)
	}
	return v == fix.On, nil
}
