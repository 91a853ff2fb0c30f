package host

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// lister gives the messages of one of the kernel's lists; it is an nlConn but in tests of what cannot be had for real.
type lister interface {
	dump(typ uint16, body []byte, fn func(nlMsg) error) error
	request(typ, flags uint16, body []byte, fn func(nlMsg) error) error
	close() error
}

// maxEntries bounds a list. A node with a full Internet routing table has more routes, and no check that could make use of them.
const maxEntries = 200_000

var errTooManyEntries = errors.New("more than 200,000 entries")

// route is the namespace's route socket. It is opened at first use, which must be inside Do, and stays in the namespace.
func (n *NS) route() (lister, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.rt == nil {
		c, err := n.netlink(unix.NETLINK_ROUTE)
		if err != nil {
			return nil, err
		}
		n.rt = c
	}
	return n.rt, nil
}

// netlink opens a socket of one netlink family that uses the node's receive buffers.
func (n *NS) netlink(protocol int) (*nlConn, error) { return openNetlink(protocol, &n.host.bufs) }

// list reads one of the namespace's lists whole. A parse function that gives false leaves the entry out.
func list[T any](n *NS, typ uint16, body []byte, parse func([]byte) (T, bool, error)) ([]T, error) {
	l, err := n.route()
	if err != nil {
		return nil, err
	}
	return whole(func() ([]T, error) {
		var all []T
		err := l.dump(typ, body, func(m nlMsg) error {
			v, ok, err := parse(m.Body)
			switch {
			case err != nil:
				return err
			case !ok:
				return nil
			case len(all) == maxEntries:
				return errTooManyEntries
			}
			all = append(all, v)
			return nil
		})
		return all, err
	})
}

// listFamilies reads a list of IPv4 and then of IPv6. A kernel without IPv6 has none of the latter.
func listFamilies[T any](n *NS, typ uint16, header int, parse func([]byte) (T, bool, error)) ([]T, error) {
	all, err := list(n, typ, familyHeader(unix.AF_INET, header), parse)
	if err != nil {
		return nil, err
	}
	six, err := list(n, typ, familyHeader(unix.AF_INET6, header), parse)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	if len(all)+len(six) > maxEntries {
		return nil, errTooManyEntries
	}
	return append(all, six...), nil
}

// familyHeader is the fixed part of a request: the address family and zeros.
func familyHeader(family byte, size int) []byte {
	b := make([]byte, size)
	b[0] = family
	return b
}

// split cuts a message into its fixed part and its attributes.
func split(b []byte, size int) (head, tail []byte, err error) {
	if len(b) < size {
		return nil, nil, fmt.Errorf("message of %d bytes with a head of %d", len(b), size)
	}
	return b[:size], b[size:], nil
}

// prefixOf makes a prefix that keeps its host bits; the zero Prefix of what is none.
func prefixOf(a netip.Addr, bits int) netip.Prefix { return netip.PrefixFrom(a, bits) }

// anyAddr is the unspecified address of a family; the zero Addr of a family that is not IP.
func anyAddr(family byte) netip.Addr {
	switch family {
	case unix.AF_INET:
		return netip.IPv4Unspecified()
	case unix.AF_INET6:
		return netip.IPv6Unspecified()
	}
	return netip.Addr{}
}

// specified is the address, or the zero Addr for one that says "any".
func specified(a netip.Addr) netip.Addr {
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
