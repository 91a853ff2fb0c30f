package host

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// hostLocal is how one network configures host-local.
type hostLocal struct {
	network string
	dir     string
	sets    [][]ipRange // a container gets one address of each
}

// ipRange is the addresses from first to last, but for the gateway.
type ipRange struct {
	subnet               netip.Prefix
	first, last, gateway netip.Addr
}

// networks gives the facts of a directory: one for each range set. An address that is in no set is told with the first.
func (l hostLocal) networks(dir string, reserved []facts.Reservation) []facts.IPAMNetwork {
	base := facts.IPAMNetwork{Name: l.network, Dir: dir}
	if len(l.sets) == 0 {
		base.Reservations = reserved
		return []facts.IPAMNetwork{base}
	}
	all := make([]facts.IPAMNetwork, len(l.sets))
	for i, set := range l.sets {
		all[i] = base
		for _, r := range set {
			all[i].Subnets = append(all[i].Subnets, r.subnet)
			all[i].Capacity = min(all[i].Capacity+r.size(), math.MaxInt64)
		}
	}
	for _, one := range reserved {
		owner := slices.IndexFunc(all, func(n facts.IPAMNetwork) bool {
			return slices.ContainsFunc(n.Subnets, func(p netip.Prefix) bool { return p.Contains(one.IP) })
		})
		n := &all[max(owner, 0)]
		n.Reservations = append(n.Reservations, one)
	}
	return all
}

// rangeSets reads host-local's ranges: sets of ranges, with the old form of a single range in front (allocator.LoadIPAMConfig). A set with a
// range that host-local refuses is left out.
func rangeSets(ipam cniObject) [][]ipRange {
	var sets [][]ipRange
	add := func(items []any) {
		var set []ipRange
		for _, item := range items {
			o, _ := item.(map[string]any)
			r, ok := parseRange(o)
			if !ok {
				return
			}
			set = append(set, r)
		}
		if len(set) > 0 {
			sets = append(sets, set)
		}
	}
	if ipam.text("subnet") != "" {
		add([]any{map[string]any(ipam)})
	}
	ranges, _ := ipam["ranges"].([]any)
	for _, set := range ranges {
		items, _ := set.([]any)
		add(items)
	}
	return sets
}

// parseRange fills in host-local's defaults (allocator.Range.Canonicalize): the gateway and the start are the subnet's first address, the end its last
// one, of IPv4 the one before the broadcast.
func parseRange(o cniObject) (r ipRange, ok bool) {
	subnet, err := netip.ParsePrefix(o.text("subnet"))
	if err != nil || subnet != subnet.Masked() || subnet.Bits() > subnet.Addr().BitLen()-2 {
		return r, false
	}
	r = ipRange{subnet: subnet, first: subnet.Addr().Next(), gateway: subnet.Addr().Next(), last: lastAddr(subnet)}
	if subnet.Addr().Is4() {
		r.last = r.last.Prev()
	}
	for key, to := range map[string]*netip.Addr{"rangeStart": &r.first, "rangeEnd": &r.last, "gateway": &r.gateway} {
		text := o.text(key)
		if text == "" {
			continue
		}
		a, err := netip.ParseAddr(text)
		a = a.Unmap()
		if err != nil || key != "gateway" && !subnet.Contains(a) {
			return r, false
		}
		*to = a
	}
	return r, r.first.Compare(r.last) <= 0
}

func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(b); bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// size is how many addresses the range can give; one too large for the number is cut.
func (r ipRange) size() uint64 {
	firstHigh, firstLow := halves(r.first)
	lastHigh, lastLow := halves(r.last)
	if lastHigh != firstHigh || lastLow-firstLow >= math.MaxInt64 {
		return math.MaxInt64
	}
	n := lastLow - firstLow + 1
	if r.first.Compare(r.gateway) <= 0 && r.gateway.Compare(r.last) <= 0 {
		n--
	}
	return n
}

func halves(a netip.Addr) (high, low uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}
