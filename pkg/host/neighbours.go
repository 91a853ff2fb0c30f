package host

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// ndHead is struct ndmsg.
type ndHead struct {
	family byte
	link   int
	state  uint16
	flags  uint8
}

// Neighbours lists the ARP and NDP entries, but not the kernel's own for multicast addresses. It must be called inside Do.
func (n *NS) Neighbours() ([]facts.Neighbour, error) {
	all, err := listFamilies(n, unix.RTM_GETNEIGH, unix.SizeofNdMsg, parseNeighbour)
	if err != nil {
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	return all, nil
}

// FDB lists the forwarding entries of bridges and vxlan devices, and the unicast addresses that other devices accept. It must be called inside Do.
func (n *NS) FDB() ([]facts.FDBEntry, error) {
	all, err := list(n, unix.RTM_GETNEIGH, familyHeader(unix.AF_BRIDGE, unix.SizeofNdMsg), parseFDB)
	if err != nil {
		return nil, fmt.Errorf("list forwarding entries: %w", err)
	}
	return all, nil
}

// parseNeighbour reads one RTM_NEWNEIGH message of an IP family.
func parseNeighbour(b []byte) (facts.Neighbour, bool, error) {
	head, tail, err := parseNDHead(b)
	if err != nil {
		return facts.Neighbour{}, false, err
	}
	e := facts.Neighbour{Link: head.link, State: neighbourState(head.state)}
	err = eachAttr(tail, func(typ uint16, v []byte) {
		switch typ {
		case unix.NDA_DST:
			e.IP = attrAddr(v)
		case unix.NDA_LLADDR:
			e.MAC = macString(v)
		}
	})
	if err != nil {
		return facts.Neighbour{}, false, fmt.Errorf("neighbour: %w", err)
	}
	return e, e.IP.IsValid() && !e.IP.IsMulticast() && head.flags&unix.NTF_PROXY == 0, nil
}

// parseFDB reads one RTM_NEWNEIGH message of the bridge family. An entry without a destination of its own, as an external vxlan device or a nexthop
// group gives, keeps the zero Addr.
func parseFDB(b []byte) (facts.FDBEntry, bool, error) {
	head, tail, err := parseNDHead(b)
	if err != nil {
		return facts.FDBEntry{}, false, err
	}
	e := facts.FDBEntry{Link: head.link, Self: head.flags&unix.NTF_SELF != 0, State: fdbState(head.state)}
	err = eachAttr(tail, func(typ uint16, v []byte) {
		switch typ {
		case unix.NDA_DST:
			e.Dst = specified(attrAddr(v))
		case unix.NDA_LLADDR:
			if len(v) == 6 && v[0]&1 == 0 { // the list that every device keeps of multicast addresses comes along
				e.MAC = etherString(v)
			}
		}
	})
	if err != nil {
		return facts.FDBEntry{}, false, fmt.Errorf("forwarding entry: %w", err)
	}
	return e, head.family == unix.AF_BRIDGE && e.MAC != "", nil
}

func parseNDHead(b []byte) (ndHead, []byte, error) {
	head, tail, err := split(b, unix.SizeofNdMsg)
	if err != nil {
		return ndHead{}, nil, fmt.Errorf("neighbour: %w", err)
	}
	return ndHead{
		family: head[0],
		link:   int(int32(binary.NativeEndian.Uint32(head[4:]))),
		state:  binary.NativeEndian.Uint16(head[8:]),
		flags:  head[10],
	}, tail, nil
}

// fdbState names the state of a forwarding entry as bridge(8) does: those of vxlan devices are permanent and noarp at once.
func fdbState(s uint16) string {
	switch {
	case s&unix.NUD_PERMANENT != 0:
		return "permanent"
	case s&unix.NUD_NOARP != 0:
		return "static"
	}
	return neighbourState(s)
}

// neighbourState names NUD_* as iproute2 does.
func neighbourState(s uint16) string {
	switch s {
	case unix.NUD_PERMANENT:
		return "permanent"
	case unix.NUD_NOARP:
		return "noarp"
	case unix.NUD_REACHABLE:
		return "reachable"
	case unix.NUD_STALE:
		return "stale"
	case unix.NUD_DELAY:
		return "delay"
	case unix.NUD_PROBE:
		return "probe"
	case unix.NUD_INCOMPLETE:
		return "incomplete"
	case unix.NUD_FAILED:
		return "failed"
	case unix.NUD_NONE:
		return "none"
	}
	return fmt.Sprintf("0x%x", s)
}
