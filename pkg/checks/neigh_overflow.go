package checks

import (
	"fmt"
	"strconv"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// The thresholds of the neighbour tables exist in the initial network namespace only.
const (
	sysctlNeighMax4 = "net/ipv4/neigh/default/gc_thresh3"
	sysctlNeighMax6 = "net/ipv6/neigh/default/gc_thresh3"
)

// NeighOverflow finds a neighbour table without room.
var NeighOverflow = &check.Check{
	Name:  "neigh-overflow",
	Title: "The ARP or NDP table is full or nearly so",
	Since: "v0.1.0",
	Doc: markdown(`
Before the kernel can send to a neighbour it needs an entry in the ARP (IPv4) or NDP (IPv6) table. When the table holds ~gc_thresh3~ entries and
none can be thrown out, it makes no new one and drops the packet.

**How it is seen.** Some destinations in the same network time out, others work, and which ones changes; ~ping~ says ~No buffer space
available~; the kernel logs ~neighbour: arp_cache: neighbor table overflow!~. It comes with many pods on a node, or with many nodes in one flat
network.

**Why.** There is **one** table for all network namespaces of the node: the entries of all pods count together against a limit, 1024 by default,
that is visible in the initial namespace alone (~neigh_alloc~, net/core/neighbour.c; tried on Linux 6.18). From ~gc_thresh2~ on, entries not
used for five seconds are thrown out; in an overflow there were not enough of those (~table_fulls~ in ~/proc/net/stat/arp_cache~).

Permanent entries, such as the one that flannel makes for each other node, do not count against the limit since Linux 5.0 (commit 58956317c8de),
though the table's ~entries~ holds them. They are subtracted, so a cluster of a thousand nodes is not a fault. For that the node's neighbours
must have been read; otherwise only an overflow itself counts.

It is critical from 90 % of the limit on, or where the table overflowed while it was more than half full; an overflow that has passed is a
warning.

**Fix.** Raise ~gc_thresh3~ to the next of 4096, 8192 and 16384, and ~gc_thresh2~ to half of it. Undo writes the old values. Beyond 16384 the
network itself is too flat: split it, or route to pods instead of bridging them.

**Cost.** Less than 1 KiB of kernel memory for each entry in use.

**When it is no fault.** A scan of the network from this node fills the table with failed entries for a few seconds.
`),
	Needs:    []facts.Kind{facts.KindNeighbourTable},
	Wants:    []facts.Kind{facts.KindNeighbours, facts.KindSysctls},
	Window:   check.WantsWindow,
	Severity: check.Critical,
	Run: func(s *facts.Snapshot) []check.Finding {
		if s.NeighbourTable == nil {
			return nil
		}
		return append(neighbours(s, "ARP", s.NeighbourTable.ARP, sysctlNeighMax4, true), neighbours(s, "NDP", s.NeighbourTable.NDP, sysctlNeighMax6, false)...)
	},
}

func neighbours(s *facts.Snapshot, name string, fill *facts.TableFill, key string, v4 bool) []check.Finding {
	limit := neighbourLimit(s, fill, key)
	if fill == nil || limit <= 0 {
		return nil
	}
	permanent := permanentNeighbours(s, v4)
	counted := fill.Entries - permanent
	used := float64(counted) / float64(limit)
	var full uint64
	raised := fill.GCThresh3 != nil && limit > *fill.GCThresh3 // what rose under a lower limit proves nothing of this one
	if fill.DeltaTableFulls != nil && !raised {
		full = *fill.DeltaTableFulls
	}
	f := check.Finding{
		On:      facts.Ref{NetNS: s.Host.Inode, Name: dotted(key)},
		Message: fmt.Sprintf("the %s table holds %d of %d entries (%s)", name, counted, limit, percent(used)),
		Evidence: []check.Evidence{
			{Fact: name + " entries of all namespaces", Got: fmt.Sprint(fill.Entries)},
			{Fact: "permanent ones, which do not count", Got: fmt.Sprint(permanent)},
			{Fact: dotted(key), Got: fmt.Sprint(limit)},
		},
	}
	switch {
	case used >= 0.9 && s.Has(facts.KindNeighbours), used > 0.5 && full > 0:
		f.Severity = check.Critical
	case full > 0:
		f.Severity = check.Warning
	default:
		return nil
	}
	if full > 0 {
		f.Message += ", and it overflowed"
		f.Evidence = append(f.Evidence, check.Evidence{Fact: name + " table_fulls", Got: risen(s, full), Want: "+0"})
	}
	f.Fixes = raiseNeighbours(s, f.On, limit, key)
	return []check.Finding{f}
}

// neighbourLimit is the threshold; 0 where it is not known.
func neighbourLimit(s *facts.Snapshot, fill *facts.TableFill, key string) int64 {
	if v, err := strconv.ParseInt(s.Host.Sysctls[key], 10, 32); err == nil {
		return v
	}
	if fill == nil || fill.GCThresh3 == nil {
		return 0
	}
	return *fill.GCThresh3
}

func permanentNeighbours(s *facts.Snapshot, v4 bool) int64 {
	n := int64(0)
	for _, e := range s.Host.Neighbours {
		if e.State == "permanent" && e.IP.Is4() == v4 {
			n++
		}
	}
	return n
}

func raiseNeighbours(s *facts.Snapshot, on facts.Ref, limit int64, key string) []fix.Fix {
	from, known := s.Host.Sysctls[key]
	for _, to := range []int64{4096, 8192, 16384} {
		if to <= limit || !known {
			continue
		}
		x := fix.Fix{
			Title:   fmt.Sprintf("raise the limit to %d", to),
			Cost:    "less than 1 KiB of kernel memory for each entry in use",
			Changes: []fix.Change{{Knob: fix.Sysctl(key), On: on, From: from, To: fmt.Sprint(to)}},
		}
		lower := key[:len(key)-1] + "2"
		if n, err := strconv.ParseInt(s.Host.Sysctls[lower], 10, 32); err == nil && n < to/2 {
			on.Name = dotted(lower)
			x.Changes = append(x.Changes, fix.Change{Knob: fix.Sysctl(lower), On: on, From: s.Host.Sysctls[lower], To: fmt.Sprint(to / 2)})
		}
		return []fix.Fix{x}
	}
	return []fix.Fix{{
		Title: "make the network less flat, or raise the limit by hand",
		Advice: []string{
			fix.Shell(&s.Host, "ip", "-s", "neigh", "show", "nud", "all") + "  # which link holds them; look into the pods' namespaces too",
			fix.Shell(&s.Host, "sysctl", "-w", fmt.Sprintf("%s=%d", key, 2*max(limit, 1024))),
		},
	}}
}
