package fix

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// ModuleSysctl is the sysctl by which a loaded module shows itself; false for a module that netmend has no knob for.
func ModuleSysctl(name string) (path string, ok bool) {
	trace, ok := moduleSysctl[name]
	return trace[0], ok
}

// moduleSysctl is what a loaded module brings below /proc/sys, with the kernel's default: the trace by which a snapshot shows it. br_netfilter
// sets the calls to 1 when it is loaded (net/bridge/br_netfilter_hooks.c, br_netfilter_sysctl_default).
var moduleSysctl = map[string][2]string{
	"br_netfilter": {"net/bridge/bridge-nf-call-iptables", "1"},
}

func getPresence(s *facts.Snapshot, c Change) (string, error) {
	family, arg := c.Knob.Split()
	if family == FamilyRule {
		return getRule(s, c)
	}
	trace, ok := moduleSysctl[arg]
	if !ok {
		return "", fmt.Errorf("no knob for module %q", arg)
	}
	if _, loaded := s.Host.Sysctls[trace[0]]; loaded {
		return Loaded, nil
	}
	return Absent, nil
}

func setPresence(s *facts.Snapshot, c Change) error {
	family, arg := c.Knob.Split()
	if family == FamilyRule {
		return setRule(s, c)
	}
	trace := moduleSysctl[arg]
	if c.To == Absent {
		delete(s.Host.Sysctls, trace[0])
		return nil
	}
	if s.Host.Sysctls == nil {
		s.Host.Sysctls = map[string]string{}
	}
	s.Host.Sysctls[trace[0]] = trace[1]
	return nil
}

// reservation finds a host-local reservation by a knob's argument, DIRECTORY:ADDRESS; the index is -1 where there is none.
func reservation(s *facts.Snapshot, arg string) (*facts.IPAMNetwork, netip.Addr, int, error) {
	dir, addr, _ := strings.Cut(arg, ":")
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, ip, 0, fmt.Errorf("bad reservation %q: %w", arg, err)
	}
	if s.IPAM == nil {
		return nil, ip, 0, fmt.Errorf("the snapshot holds no reservations")
	}
	var owner *facts.IPAMNetwork
	for i := range s.IPAM.Networks {
		n := &s.IPAM.Networks[i]
		if n.Dir != dir {
			continue
		}
		for j, r := range n.Reservations {
			if r.IP == ip {
				return n, ip, j, nil
			}
		}
		// Of several range sets of one directory the address belongs to that in whose subnets it is, else to the first.
		if owner == nil || slices.ContainsFunc(n.Subnets, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			owner = n
		}
	}
	if owner == nil {
		return nil, ip, 0, fmt.Errorf("no reservations of %s in the snapshot", dir)
	}
	return owner, ip, -1, nil
}

func getReservation(s *facts.Snapshot, arg string) (string, error) {
	n, _, i, err := reservation(s, arg)
	if err != nil {
		return "", err
	}
	if i < 0 {
		return Absent, nil
	}
	return ReservationText(n.Reservations[i]), nil
}

// ReservationText is what host-local writes into a reservation's file: the container's id and the interface (plugins/ipam/host-local/backend/disk).
func ReservationText(r facts.Reservation) string {
	if r.IfName == "" {
		return r.ID
	}
	return r.ID + "\r\n" + r.IfName
}

func setReservation(s *facts.Snapshot, arg, to string) error {
	n, ip, i, err := reservation(s, arg)
	if err != nil {
		return err
	}
	if i >= 0 {
		n.Reservations = append(n.Reservations[:i], n.Reservations[i+1:]...)
	}
	if to != Absent {
		id, ifName, _ := strings.Cut(to, "\r\n")
		n.Reservations = append(n.Reservations, facts.Reservation{IP: ip, ID: id, IfName: ifName})
	}
	return nil
}
