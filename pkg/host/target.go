package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// extSkipStats is RTEXT_FILTER_SKIP_STATS (linux/rtnetlink.h), which x/sys does not have: the counters of a link are summed over all processors.
const extSkipStats = 1 << 3

// LinkByIndex reads one link without its counters; ErrAbsent where there is none. It must be called inside Do.
func (n *NS) LinkByIndex(index int) (*facts.Link, error) {
	l, _, err := n.LinkSettings(index)
	return l, err
}

// LinkSettings is LinkByIndex that gives the link's IPv4 settings too, which the kernel tells with it.
func (n *NS) LinkSettings(index int) (*facts.Link, Settings, error) {
	l, s, err := n.oneLink(ifinfo(unix.AF_UNSPEC, index))
	return l, s, linkError(err, func() string { return "link " + strconv.Itoa(index) })
}

// LinkNamed reads one link without its counters; ErrAbsent where there is none. It must be called inside Do.
func (n *NS) LinkNamed(name string) (*facts.Link, error) {
	what := func() string { return "link " + name }
	if name == "" || len(name) >= unix.IFNAMSIZ {
		return nil, linkError(unix.ENODEV, what)
	}
	l, _, err := n.oneLink(appendAttr(ifinfo(unix.AF_UNSPEC, 0), unix.IFLA_IFNAME, nulString(name)))
	return l, linkError(err, what)
}

func linkError(err error, what func() string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENODEV):
		return &absence{what: what()}
	}
	return fmt.Errorf("read %s: %w", what(), err)
}

func (n *NS) oneLink(query []byte) (*facts.Link, Settings, error) {
	var s Settings
	l, err := n.route()
	if err != nil {
		return nil, s, err
	}
	var link facts.Link
	query = appendAttr(query, unix.IFLA_EXT_MASK, binary.NativeEndian.AppendUint32(nil, extSkipStats))
	err = l.request(unix.RTM_GETLINK, 0, query, func(m nlMsg) (err error) {
		if link, _, err = parseLink(m.Body); err == nil {
			s, err = parseSettings(m.Body)
		}
		return err
	})
	if err != nil {
		return nil, s, err
	}
	return &link, s, nil
}

// TableRoutes lists the routes of one table and one family, IPv4 or IPv6. Kernels before 4.20 list those of all tables. It must be called inside Do.
func (n *NS) TableRoutes(table int, v4 bool) ([]facts.Route, error) {
	head := familyHeader(addressFamily(v4), unix.SizeofRtMsg)
	if table < 256 {
		head[4] = byte(table)
	}
	body := appendAttr(head, unix.RTA_TABLE, binary.NativeEndian.AppendUint32(nil, uint32(table)))
	all, err := list(n, unix.RTM_GETROUTE, body, func(b []byte) (facts.Route, bool, error) {
		r, ok, err := parseRoute(b)
		return r, ok && r.Table == table, err
	})
	if errors.Is(err, unix.ENOENT) || !v4 && noFamily(err) { // there is no such table, or no IPv6
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list routes of table %d: %w", table, err)
	}
	return all, nil
}

// LocalRoute says whether the kernel would deliver a packet for the address to itself. It must be called inside Do.
func (n *NS) LocalRoute(a netip.Addr) (bool, error) { return n.localRoute(a.Unmap()) }

// AddressesIf lists the addresses, with ipv6 of both families and else of IPv4, that keep approves by their link and by whether they are valid on that link only. The others are not even decoded:
// kube-ipvs0 may have thousands, and each pod's link has one of its own. It must be called inside Do.
func (n *NS) AddressesIf(ipv6 bool, keep func(link int, linkLocal bool) bool) ([]facts.Address, error) {
	family := byte(unix.AF_UNSPEC)
	if !ipv6 {
		family = unix.AF_INET
	}
	all, err := list(n, unix.RTM_GETADDR, familyHeader(family, unix.SizeofIfAddrmsg), func(b []byte) (facts.Address, bool, error) {
		if len(b) >= unix.SizeofIfAddrmsg && !keep(int(binary.NativeEndian.Uint32(b[4:])), b[3] == unix.RT_SCOPE_LINK) {
			return facts.Address{}, false, nil
		}
		return parseAddress(b)
	})
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	return all, nil
}

// RulesOf lists the policy routing rules, with ipv6 of both families and else of IPv4. It must be called inside Do.
func (n *NS) RulesOf(ipv6 bool) ([]facts.Rule, error) {
	if ipv6 {
		return n.Rules()
	}
	all, err := list(n, unix.RTM_GETRULE, familyHeader(unix.AF_INET, sizeofRuleHdr), parseRule)
	if err != nil {
		return nil, fmt.Errorf("list routing rules: %w", err)
	}
	return all, nil
}

// FDBOf lists the forwarding entries of one vxlan device. It must be called inside Do.
func (n *NS) FDBOf(link int) ([]facts.FDBEntry, error) {
	head := familyHeader(unix.AF_BRIDGE, unix.SizeofNdMsg)
	binary.NativeEndian.PutUint32(head[4:], uint32(link))
	all, err := list(n, unix.RTM_GETNEIGH, head, func(b []byte) (facts.FDBEntry, bool, error) {
		e, ok, err := parseFDB(b)
		return e, ok && e.Link == link, err
	})
	if err != nil {
		return nil, fmt.Errorf("list forwarding entries of link %d: %w", link, err)
	}
	return all, nil
}

func addressFamily(v4 bool) byte {
	if v4 {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// noFamily says whether the kernel has no such address family.
func noFamily(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)
}
