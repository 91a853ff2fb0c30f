package host

import (
	"encoding/binary"
	"math"
	"net"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// linkEvent is what a link's notification says of what has changed.
type linkEvent struct {
	index      int
	bridge     bool // of its place in a bridge (AF_BRIDGE)
	gone, made bool
	features   bool
	foreign    bool // its other end is in another namespace
	kind       string
	podEnd
}

// podEnd is what an event of the node's end of a pod's link can have changed and facts tell.
type podEnd struct {
	name        string
	mac         [6]byte
	mtu, master uint32
	flags       uint32
}

const podEndFlags = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_PROMISC

func podEndOf(l *facts.Link) podEnd {
	e := podEnd{name: l.Name, mtu: uint32(l.MTU), master: uint32(l.Master)}
	for flag, set := range map[uint32]bool{unix.IFF_UP: l.Up, unix.IFF_RUNNING: l.Running, unix.IFF_PROMISC: l.Promisc} {
		if set {
			e.flags |= flag
		}
	}
	if mac, err := net.ParseMAC(l.MAC); err == nil {
		copy(e.mac[:], mac)
	}
	return e
}

// pairOfPod says whether a link of the kind can be the node's end of a pod's.
func pairOfPod(kind string) bool { return kind == "veth" || kind == "netkit" }

// childOfPod says whether a link of the kind can be made on the node and moved into a pod.
func childOfPod(kind string) bool {
	switch kind {
	case "macvlan", "macvtap", "ipvlan", "ipvtap", "vlan":
		return true
	}
	return false
}

// parseLinkEvent reads one RTM_NEWLINK or RTM_DELLINK message.
func parseLinkEvent(m nlMsg) (linkEvent, error) {
	head, tail, err := split(m.Body, unix.SizeofIfInfomsg)
	if err != nil {
		return linkEvent{}, err
	}
	e := linkEvent{
		index:  int(int32(binary.NativeEndian.Uint32(head[4:]))),
		bridge: head[0] == unix.AF_BRIDGE,
		gone:   m.Type == unix.RTM_DELLINK,
		// A device that was made or has come from another namespace has all bits set in ifi_change (register_netdevice, dev_change_net_namespace).
		made: m.Type == unix.RTM_NEWLINK && binary.NativeEndian.Uint32(head[12:]) == math.MaxUint32,
	}
	e.flags = binary.NativeEndian.Uint32(head[8:]) & podEndFlags
	var nested error
	err = eachAttr(tail, func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_IFNAME:
			e.name = attrString(v)
		case unix.IFLA_ADDRESS:
			copy(e.mac[:], v)
		case unix.IFLA_MTU:
			e.mtu = attrUint32(v)
		case unix.IFLA_MASTER:
			e.master = attrUint32(v)
		case unix.IFLA_EVENT:
			e.features = attrUint32(v) == unix.IFLA_EVENT_FEATURES
		case unix.IFLA_LINK_NETNSID:
			e.foreign = true
		case unix.IFLA_LINKINFO:
			nested = eachAttr(v, func(typ uint16, v []byte) {
				if typ == unix.IFLA_INFO_KIND {
					e.kind = attrString(v)
				}
			})
		}
	})
	return e, firstError(err, nested)
}

// link adds what a link's notification tells.
func (r *routeWatch) link(m nlMsg, c *changes) error {
	e, err := parseLinkEvent(m)
	if err != nil {
		return err
	}
	_, known := r.podEnds[e.index]
	switch {
	case e.bridge: // the state of a port, and whether it sends back to where it came from
		c.kinds(facts.KindPodLinks)
		c.cause("bridge port", e.name)
		if !known {
			c.kinds(facts.KindLinks)
			c.link(e.index)
		}
	case pairOfPod(e.kind) && (e.foreign || known):
		r.podEnd(&e, c)
	default:
		r.nodeLink(&e, c)
	}
	return nil
}

// nodeLink adds what any link tells that is not known to be a pod's.
func (r *routeWatch) nodeLink(e *linkEvent, c *changes) {
	if e.name == ipvsDevice {
		r.ipvs = e.index
		if e.gone {
			r.ipvs = 0
		}
	}
	c.kinds(facts.KindLinks, facts.KindTunnels, facts.KindPodLinks)
	c.link(e.index)
	c.cause("link", e.name)
	if e.features || e.made {
		c.kinds(facts.KindFeatures)
	}
	switch {
	case e.gone && (pairOfPod(e.kind) || childOfPod(e.kind)):
		c.Pods = true // into a pod, or with it
	case !pairOfPod(e.kind) && (e.made || e.gone):
		c.kinds(facts.KindSysctls) // the device's own
	}
}

// podEnd adds what the node's end of a pod's link tells. The kernel's last word of one that goes does not say any more where its other end was.
func (r *routeWatch) podEnd(e *linkEvent, c *changes) {
	old, known := r.podEnds[e.index]
	if e.gone {
		delete(r.podEnds, e.index)
	} else if known || len(r.podEnds) < maxEntries {
		r.podEnds[e.index] = e.podEnd
	}
	switch {
	case e.gone || !known:
		c.Pods = true
		c.kinds(facts.KindLinks)
		c.link(e.index)
	case e.features: // those of an uplink of a node that lives in a namespace itself
		c.kinds(facts.KindFeatures)
	case old == e.podEnd:
		return // nothing that is among the facts
	case old.mtu != e.mtu || old.master != e.master:
		c.kinds(facts.KindLinks)
		c.link(e.index)
	}
	c.kinds(facts.KindPodLinks)
	c.cause("pod link", e.name)
}
