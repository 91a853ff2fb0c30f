package host

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

func (d *nftDecoder) compare(a *nftAttrs) {
	r, op, want := d.register(a[unix.NFTA_CMP_SREG]), attrBE32(a[unix.NFTA_CMP_OP]), dataValue(a[unix.NFTA_CMP_DATA])
	switch {
	case r == nil || len(want) == 0:
		d.opaque()
	case r.key == keyDPort && len(want) == 2 && r.mask == nil:
		d.port(op, attrBE16(want))
	case op == unix.NFT_CMP_EQ || op == unix.NFT_CMP_NEQ:
		d.equal(r, want, op == unix.NFT_CMP_NEQ)
	default:
		d.opaque()
	}
}

// port takes a comparison of the destination port: nft writes a range as "at least" and then "at most".
func (d *nftDecoder) port(op uint32, p uint16) {
	switch {
	case op == unix.NFT_CMP_EQ || op == unix.NFT_CMP_NEQ:
		d.match(&d.DPort, strconv.Itoa(int(p)), op == unix.NFT_CMP_NEQ)
	case op == unix.NFT_CMP_GTE && d.low == nil:
		d.low = &p
	case op == unix.NFT_CMP_LTE && d.low != nil:
		d.match(&d.DPort, fmt.Sprintf("%d:%d", *d.low, p), false)
		d.low = nil
	default:
		d.opaque()
	}
}

func (d *nftDecoder) inRange(a *nftAttrs) {
	r := d.register(a[unix.NFTA_RANGE_SREG])
	from, to := dataValue(a[unix.NFTA_RANGE_FROM_DATA]), dataValue(a[unix.NFTA_RANGE_TO_DATA])
	if r == nil || r.key != keyDPort || r.mask != nil || len(from) != 2 || len(to) != 2 {
		d.opaque()
		return
	}
	d.match(&d.DPort, fmt.Sprintf("%d:%d", attrBE16(from), attrBE16(to)), attrBE32(a[unix.NFTA_RANGE_OP]) == unix.NFT_RANGE_NEQ)
}

// equal takes a comparison for equality.
func (d *nftDecoder) equal(r *nftRegister, want []byte, inverted bool) {
	switch r.key {
	case keyMark, keyCTState, keyCTStatus, keySrc, keyDst:
	default:
		if r.mask != nil {
			d.opaque()
			return
		}
	}
	switch r.key {
	case keyInName:
		d.match(&d.InLink, linkPattern(want), inverted)
	case keyOutName:
		d.match(&d.OutLink, linkPattern(want), inverted)
	case keyInIndex:
		d.match(&d.InLink, d.ifname(attrUint32(want)), inverted)
	case keyOutIndex:
		d.match(&d.OutLink, d.ifname(attrUint32(want)), inverted)
	case keyL4Proto:
		d.match(&d.Proto, protoName(want[0]), inverted)
	case keyNFProto:
		if inverted || d.proto != 0 && d.proto != want[0] {
			d.opaque()
		}
		d.proto = want[0]
	case keyMark:
		d.markMatch(r, want, inverted)
	case keyCTState:
		d.stateMatch(r, want, inverted)
	case keyCTStatus:
		d.statusMatch(r, want, inverted)
	case keySrc:
		d.match(&d.Src, nftPrefix(d.addrFamily(), want, r), inverted)
	case keyDst:
		d.match(&d.Dst, nftPrefix(d.addrFamily(), want, r), inverted)
	default:
		d.opaque()
	}
}

func (d *nftDecoder) addrFamily() uint8 {
	if d.family == unix.NFPROTO_INET {
		return d.proto
	}
	return d.family
}

func (d *nftDecoder) markMatch(r *nftRegister, want []byte, inverted bool) {
	value, mask := attrUint32(want), ^uint32(0)
	if r.mask != nil {
		mask = attrUint32(r.mask)
		if attrUint32(r.xor) != 0 || len(r.mask) < 4 {
			d.opaque()
			return
		}
	}
	d.matchMark(value, mask, inverted)
}

// matchMark tells a match of the mark. With one bit in the mask, "is not 0" and "is that bit" are the same; the latter is told.
func (b *ruleBuilder) matchMark(value, mask uint32, inverted bool) {
	if bits.OnesCount32(mask) == 1 && value == 0 {
		value, inverted = mask, !inverted
	}
	b.match(&b.Mark, fmt.Sprintf("0x%x/0x%x", value, mask), inverted)
}

// stateMatch knows the two ways in which nft compares ct state: one state, or a mask of which no bit, or some bit, is set.
func (d *nftDecoder) stateMatch(r *nftRegister, want []byte, inverted bool) {
	value := attrUint32(want)
	switch {
	case len(want) != 4:
		d.opaque()
	case r.mask == nil && bits.OnesCount32(value) == 1:
		d.matchState(value, inverted)
	case len(r.mask) == 4 && attrUint32(r.xor) == 0 && value == 0:
		d.matchState(attrUint32(r.mask), !inverted)
	default:
		d.opaque()
	}
}

// ctStates are the connection states in the order of their bits (NF_CT_STATE_BIT). A packet has exactly one of them.
func ctStates() []string { return []string{"invalid", "established", "related", "new"} }

// stateUntracked is the bit of a packet that is not tracked (NF_CT_STATE_UNTRACKED_BIT), the fifth state.
const stateUntracked = 1 << 6

// matchState tells a match of the connection state by a set of state bits.
func (b *ruleBuilder) matchState(set uint32, inverted bool) {
	var names []string
	all := ctStates()
	for i, name := range all {
		if set&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if set&stateUntracked != 0 {
		names = append(names, "untracked")
	}
	if set&^(1<<len(all)-1|stateUntracked) != 0 {
		b.opaque()
		return
	}
	if inverted {
		names = others(append(all, "untracked"), names)
	}
	b.states(names)
}

// statusMatch knows a mask of which some bit is set.
func (d *nftDecoder) statusMatch(r *nftRegister, want []byte, inverted bool) {
	if len(r.mask) != 4 || len(want) != 4 || attrUint32(r.xor) != 0 || attrUint32(want) != 0 || !inverted {
		d.opaque()
		return
	}
	d.matchStatus(attrUint32(r.mask))
}

// matchStatus tells a match of any of the connection's status bits (enum ip_conntrack_status).
func (b *ruleBuilder) matchStatus(set uint32) {
	var names []string
	for i, name := range [...]string{"expected", "seen-reply", "assured", "confirmed", "snat", "dnat"} {
		if set&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if set&^(1<<6-1) != 0 || len(names) == 0 || b.CTStatus != nil || b.SetMark != "" {
		b.opaque()
		return
	}
	b.CTStatus = names
}

// finish judges what only the end of the rule shows.
func (d *nftDecoder) finish() {
	// Of a rule for one family the addresses tell the family; without them it matches less than it says.
	if d.family == unix.NFPROTO_INET && d.proto != 0 && d.Src == "" && d.Dst == "" {
		d.opaque()
	}
	if d.low != nil {
		d.opaque()
	}
}

// linkPattern writes a compared link name as iptables does: a name without its closing zero byte is the start of names.
func linkPattern(v []byte) string {
	if i := bytes.IndexByte(v, 0); i >= 0 {
		return string(v[:i])
	}
	return string(v) + "+"
}

// protoName names an IP protocol as iptables prints it; one without a common name is its number.
func protoName(p uint8) string {
	switch p {
	case unix.IPPROTO_ICMP:
		return "icmp"
	case unix.IPPROTO_IPIP:
		return "ipencap"
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	case unix.IPPROTO_ICMPV6:
		return "ipv6-icmp"
	case unix.IPPROTO_SCTP:
		return "sctp"
	}
	return strconv.Itoa(int(p))
}

// nftPrefix writes the start of an address, or a masked one, as a prefix; empty where it is none.
func nftPrefix(family uint8, want []byte, r *nftRegister) string {
	size := 4
	if family == unix.NFPROTO_IPV6 {
		size = 16
	}
	if len(want) > size || len(want) == 0 {
		return ""
	}
	ones := 8 * len(want)
	if r.mask != nil {
		var ok bool
		if ones, ok = maskBits(r.mask); !ok || len(r.mask) != len(want) || len(bytes.Trim(r.xor, "\x00")) != 0 {
			return ""
		}
	}
	full := make([]byte, size)
	copy(full, want)
	a, ok := netip.AddrFromSlice(full)
	if !ok {
		return ""
	}
	return netip.PrefixFrom(a, ones).String()
}

// maskBits counts the ones of a mask; not ok where a one follows a zero.
func maskBits(mask []byte) (ones int, ok bool) {
	for len(mask) > 0 && mask[0] == 0xff {
		ones += 8
		mask = mask[1:]
	}
	if len(mask) == 0 {
		return ones, true
	}
	n := bits.LeadingZeros8(^mask[0])
	rest := len(bytes.Trim(mask[1:], "\x00")) == 0
	return ones + n, rest && mask[0] == byte(0xff<<(8-n))
}

// xtWord reads one native number of an xtables structure; the caller has checked its size.
func xtWord(info []byte, offset int) uint32 { return binary.NativeEndian.Uint32(info[offset:]) }
