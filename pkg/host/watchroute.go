package host

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// ipvsDevice is the link that carries the virtual IPs of kube-proxy's IPVS mode.
const ipvsDevice = "kube-ipvs0"

// routeWatch hears rtnetlink's notifications. It remembers which links are the node's ends of pods' links, so that an event of one that is known is not
// taken for a new pod, and not for a reason to read what is dear.
type routeWatch struct {
	host    *Host
	fd      int
	podEnds map[int]podEnd
	ipvs    int // index of ipvsDevice; 0: there is none
}

func newRouteWatch(h *Host) *routeWatch {
	return &routeWatch{host: h, fd: -1, podEnds: map[int]podEnd{}}
}

func (r *routeWatch) file() int    { return r.fd }
func (r *routeWatch) deaf() string { return "" }
func (r *routeWatch) close()       { closeWatch(&r.fd) }

func (r *routeWatch) all(c *changes) {
	c.kinds(facts.KindLinks, facts.KindTunnels, facts.KindPodLinks, facts.KindAddresses, facts.KindRoutes, facts.KindRules, facts.KindFeatures,
		facts.KindSysctls)
	c.Pods = true
}

// open joins the groups first and learns the links then, so that none escapes between.
func (r *routeWatch) open() error {
	err := r.host.node.Do(func() (err error) {
		r.fd, err = openWatch(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE,
			unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
			unix.RTNLGRP_NEXTHOP, unix.RTNLGRP_NSID)
		if err != nil {
			return err
		}
		return r.learn()
	})
	if err != nil {
		return fmt.Errorf("watch links, addresses and routes: %w", err)
	}
	return nil
}

// learn reads which links there are.
func (r *routeWatch) learn() error {
	links, err := r.host.node.Links()
	if err != nil {
		return err
	}
	clear(r.podEnds)
	r.ipvs = 0
	for i := range links {
		l := &links[i]
		if pairOfPod(l.Kind) && l.PeerNSID != nil {
			r.podEnds[l.Index] = podEndOf(l)
		}
		if l.Name == ipvsDevice {
			r.ipvs = l.Index
		}
	}
	return nil
}

func (r *routeWatch) read(c *changes) error {
	lost, err := drainWatch(r.fd, c, func(m nlMsg) { r.message(m, c) })
	if lost && err == nil {
		c.Lost = true
		c.cause("netlink overflow")
		r.all(c)
		err = r.learn()
	}
	if err != nil {
		return fmt.Errorf("watch links, addresses and routes: %w", err)
	}
	return nil
}

// message adds what one notification tells. One that is too short to be understood is taken for a loss.
func (r *routeWatch) message(m nlMsg, c *changes) {
	var err error
	switch m.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		err = r.link(m, c)
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		err = r.address(m, c)
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		err = routeEvent(m, c)
	case unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP:
		c.kinds(facts.KindRoutes)
		c.cause("next hop")
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		c.kinds(facts.KindRules)
		c.cause("rule")
	case unix.RTM_NEWNETCONF:
		err = netconfEvent(m, c)
	case unix.RTM_NEWNSID, unix.RTM_DELNSID:
		c.Pods = true
		c.cause("network namespace")
	}
	if err != nil {
		c.Lost = true
		c.cause("netlink message")
		r.all(c)
	}
}

func (r *routeWatch) address(m nlMsg, c *changes) error {
	head, _, err := split(m.Body, unix.SizeofIfAddrmsg)
	if err != nil {
		return err
	}
	c.kinds(facts.KindAddresses)
	c.cause("address")
	if r.ipvs != 0 && int(binary.NativeEndian.Uint32(head[4:])) == r.ipvs {
		c.kinds(facts.KindIPVS, facts.KindServiceVIPs)
	}
	return nil
}

func routeEvent(m nlMsg, c *changes) error {
	head, _, err := split(m.Body, unix.SizeofRtMsg)
	if err != nil {
		return err
	}
	if routeType(head[7]) == "" || binary.NativeEndian.Uint32(head[8:])&unix.RTM_F_CLONED != 0 {
		return nil // not among the facts: a route of multicast, or what the kernel has learned of a path
	}
	c.kinds(facts.KindRoutes)
	c.cause("route")
	return nil
}

// Attributes of RTM_NEWNETCONF (linux/netconf.h), whose head is one byte of family.
const (
	netconfIfindex = 1
	netconfHead    = 1
)

// netconfEvent tells of one switch that was written. A message with all of them is of a device that was made, which its link tells.
func netconfEvent(m nlMsg, c *changes) error {
	_, tail, err := split(m.Body, align4(netconfHead))
	if err != nil {
		return err
	}
	values := 0
	err = eachAttr(tail, func(typ uint16, _ []byte) {
		if typ != netconfIfindex {
			values++
		}
	})
	if err != nil {
		return err
	}
	if values == 1 {
		c.kinds(facts.KindSysctls)
		c.cause("sysctl")
	}
	return nil
}
