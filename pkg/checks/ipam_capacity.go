package checks

import (
	"fmt"
	"net/netip"
	"path"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// leakAge is how old a reservation must be, in seconds, to count as leaked: a pod's address is reserved a moment before the pod has it.
const leakAge = 600

// IPAMCapacity finds pod networks that run out of addresses.
var IPAMCapacity = &check.Check{
	Name:  "ipam-capacity",
	Title: "The node runs out of pod addresses",
	Since: "v0.1.0",
	Doc: markdown(`
host-local keeps a file for each address it has given away, named by the address, in ~/var/lib/cni/networks/NETWORK~. When a file exists for
every address of the node's range, no pod starts any more.

**How it is seen.** New pods on the node hang in ~ContainerCreating~ with ~failed to allocate for range 0: no IP addresses available in range
set~, while the node has fewer pods than its subnet has addresses. That is typical for addresses that **leaked**: a crash of the runtime, a full
disk or a reboot in the middle of things left the file and took the pod.

**Why.** Store.Reserve of the plugin (plugins/ipam/host-local/backend/disk/backend.go) takes an address only when it can create the file;
nothing but DEL, or GC since CNI 1.1, removes it. The file says whose it is: the container's id and its interface. The network, the gateway and
the broadcast address are not given away, so a ~/24~ holds 253 pods.

It is a warning from 85 % on and critical at 100 %. Only IPv4 is counted, since no node fills an IPv6 range, and only directories that the CNI
configuration uses. One address reserved in two networks is the business of duplicate-ip-local.

**Fix.** netmend offers to release **one** leaked address, the oldest, under host-local's own lock, and only when it has seen the addresses of
all pods: none has it, no other address of the same container is in use, no link, route or neighbour of the node has it, and the file is older
than ten minutes. Undo writes the file again. Otherwise compare by hand with what the runtime knows, sandboxes that are not ready included.

**Cost.** If a pod had the address after all, a second pod would get it, and both would lose packets (duplicate-ip-local). gVisor takes the
address off the link that the node sees; where a pod's link has no address, netmend releases nothing.

**When it is no fault.** A node that really runs that many pods needs a larger subnet (~--node-cidr-mask-size~ of the controller manager, for
new nodes) or a lower ~maxPods~. Calico and Cilium have address management of their own, which is not judged.
`),
	Needs:    []facts.Kind{facts.KindIPAM},
	Wants:    []facts.Kind{facts.KindPods, facts.KindLinks, facts.KindAddresses, facts.KindRoutes, facts.KindNeighbours},
	Severity: check.Critical,
	NotApplicable: func(s *facts.Snapshot) string {
		if s.IPAM == nil || len(s.IPAM.Networks) == 0 {
			return "host-local has reserved nothing on this host"
		}
		return ""
	},
	Run: runIPAMCapacity,
}

func runIPAMCapacity(s *facts.Snapshot) []check.Finding {
	if s.IPAM == nil {
		return nil
	}
	var out []check.Finding
	for i := range s.IPAM.Networks {
		if f, ok := networkFill(s, &s.IPAM.Networks[i]); ok {
			out = append(out, f)
		}
	}
	return out
}

func networkFill(s *facts.Snapshot, n *facts.IPAMNetwork) (check.Finding, bool) {
	var held []facts.Reservation
	for _, r := range n.Reservations {
		if r.IP.Is4() && inSubnets(n, r.IP) {
			held = append(held, r)
		}
	}
	capacity := n.Capacity
	if capacity == 0 || float64(len(held)) < 0.85*float64(capacity) {
		return check.Finding{}, false
	}
	f := check.Finding{
		Severity: check.Warning,
		On:       facts.Ref{NetNS: s.Host.Inode, Name: n.Dir},
		Message:  fmt.Sprintf("%d of %d addresses of network %s are reserved (%s)", len(held), capacity, n.Name, percent(float64(len(held))/float64(capacity))),
		Evidence: []check.Evidence{{Fact: "reservations in " + n.Dir, Got: fmt.Sprint(len(held)), Want: fmt.Sprintf("less than %s of %d", percent(0.85), capacity)}},
	}
	if uint64(len(held)) >= capacity {
		f.Severity = check.Critical
	}
	leaked, known := leakedReservations(s, n, held)
	if known {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "reserved over ten minutes ago, and no pod has it", Got: fmt.Sprint(len(leaked))})
	}
	if len(leaked) > 0 {
		f.Fixes = append(f.Fixes, release(f.On, n, leaked))
	}
	f.Fixes = append(f.Fixes, fix.Fix{
		Title: "compare the reservations with what the runtime knows",
		Advice: []string{
			fix.Shell(nil, "grep", "-r", ".", n.Dir) + "  # address and container id",
			"crictl pods --no-trunc -q  # every sandbox, also those that are not ready; an id that is missing here has leaked",
		},
	})
	return f, true
}

func inSubnets(n *facts.IPAMNetwork, ip netip.Addr) bool {
	for _, c := range n.Subnets {
		if c.Contains(ip) {
			return true
		}
	}
	return false
}

// leakedReservations gives those of held, the reservations of n, that nobody uses; known is false where some user may not have been seen.
func leakedReservations(s *facts.Snapshot, n *facts.IPAMNetwork, held []facts.Reservation) (leaked []facts.Reservation, known bool) {
	used, known := usedAddresses(s)
	if !known {
		return nil, false
	}
	owners := map[string]bool{}
	for _, other := range s.IPAM.Networks { // a range set of the other family may stand in the same directory
		for _, r := range other.Reservations {
			if other.Dir == n.Dir && used[r.IP] {
				owners[r.ID] = true
			}
		}
	}
	for _, r := range held {
		if !used[r.IP] && !owners[r.ID] && r.Age > leakAge {
			leaked = append(leaked, r)
		}
	}
	return leaked, true
}

// release offers to give back the oldest leaked reservation.
func release(on facts.Ref, n *facts.IPAMNetwork, leaked []facts.Reservation) fix.Fix {
	oldest := leaked[0]
	for _, r := range leaked {
		if r.Age > oldest.Age {
			oldest = r
		}
	}
	return fix.Fix{
		Title:   fmt.Sprintf("release %s, which leaked", path.Join(n.Dir, oldest.IP.String())),
		Cost:    "a pod that has the address unseen would share it with the next one",
		Changes: []fix.Change{{Knob: fix.Reservation(n.Dir, oldest.IP), On: on, From: fix.ReservationText(oldest), To: fix.Absent}},
	}
}
