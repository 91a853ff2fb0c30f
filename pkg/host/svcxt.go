package host

import (
	"encoding/binary"
	"math"
	"net/netip"

	"golang.org/x/sys/unix"
)

// What x/sys does not name of linux/netfilter/xt_*.h.
const (
	xtRecentCheck = 1 << 0
	xtRecentSet   = 1 << 1
	xtRecentReap  = 1 << 5
	xtRecentName  = 10  // offset of the name behind seconds, hit count, check_set and invert
	xtRecentSide  = 210 // offset of the side behind the name: 0 for the source
	xtRecentMask  = 212 // offset of revision 1's mask of the address

	rtnLocal = 1 << unix.RTN_LOCAL // XT_ADDRTYPE_LOCAL and RTN_LOCAL's bit are the same
)

// match takes an xtables match; the layouts are those of linux/netfilter/xt_*.h.
func (r *svcRule) match(name []byte, revision uint32, info []byte) {
	switch string(name) {
	case "comment":
		r.comment = trimNul(info)
	case "tcp":
		if len(info) < 12 || revision != 0 || xtWord(info, 0) != math.MaxUint16<<16 || info[8] != 0 || info[9] != 0 || info[11] != 0 {
			r.doubt("a match of tcp")
			return
		}
		r.xtPorts(info[4:])
	case "udp":
		if len(info) < 9 || revision != 0 || xtWord(info, 0) != math.MaxUint16<<16 || info[8] != 0 {
			r.doubt("a match of udp")
			return
		}
		r.xtPorts(info[4:])
	case "sctp":
		// xt_sctp_info: destination ports, source ports, chunks, then flags and inverted flags; the second flag is the destination port's.
		if len(info) < 292 || revision != 0 || xtWord(info, 284)&^2 != 0 || xtWord(info, 288) != 0 {
			r.doubt("a match of sctp")
			return
		}
		if xtWord(info, 284) != 0 {
			r.xtPorts(info)
		}
	case "addrtype":
		r.xtAddrType(revision, info)
	case "statistic":
		r.xtStatistic(info)
	case "recent":
		r.xtRecent(revision, info)
	case "set":
		// xt_set_info leads every revision from 1 on: the set's index, the number of its parts, then a flag to invert and one for each part that is the source's.
		if len(info) < 4 || revision == 0 || info[3]&1 != 0 || r.has&matchMember != 0 {
			r.doubt("match set")
			return
		}
		r.has |= matchMember
		r.member, r.memberDirs = binary.NativeEndian.Uint16(info), info[3]
	case "nfacct": // counts, and matches unless it has a quota, which kube-proxy never gives
	case "mark":
		r.has |= matchMark
	case "conntrack", "state":
		r.has |= matchState
	default:
		r.doubt("match ", string(name))
	}
}

func (r *svcRule) xtPorts(b []byte) {
	first, last := binary.NativeEndian.Uint16(b), binary.NativeEndian.Uint16(b[2:])
	if first == 0 && last == math.MaxUint16 {
		return
	}
	r.dport(first, last, false)
}

// xtAddrType knows matches of local addresses: revision 1 is two sets of types and flags, revision 0 has two words for what is inverted instead.
func (r *svcRule) xtAddrType(revision uint32, info []byte) {
	if revision > 1 || len(info) < 8 || xtWord(info, 4) != 0 || revision == 0 && (len(info) < 12 || xtWord(info, 8) != 0) {
		r.doubt("match addrtype")
		return
	}
	src, dst := binary.NativeEndian.Uint16(info), binary.NativeEndian.Uint16(info[2:])
	if src&^rtnLocal != 0 || dst&^rtnLocal != 0 {
		r.doubt("match addrtype")
	}
	if src != 0 {
		r.has |= matchSrcLocal
	}
	if dst != 0 {
		r.has |= matchDstLocal
	}
}

// xtStatistic knows the random mode: mode, flags and the probability of 1<<31.
func (r *svcRule) xtStatistic(info []byte) {
	if len(info) < 8 || binary.NativeEndian.Uint16(info) != 0 || binary.NativeEndian.Uint16(info[2:]) != 0 || r.has&matchRandom != 0 {
		r.doubt("match statistic")
		return
	}
	r.has, r.probability = r.has|matchRandom, xtWord(info, 4)
}

func (r *svcRule) xtRecent(revision uint32, info []byte) {
	if revision > 1 || len(info) <= xtRecentSide || info[9] != 0 || info[xtRecentSide] != 0 || xtWord(info, 4) != 0 || r.recent != 0 {
		r.doubt("match recent")
		return
	}
	if revision == 1 && (len(info) < xtRecentMask+16 || xtWord(info, xtRecentMask) != math.MaxUint32) {
		r.doubt("match recent with a mask")
	}
	switch info[8] {
	case xtRecentSet:
		r.recent = recentSet
	case xtRecentCheck, xtRecentCheck | xtRecentReap:
		r.recent, r.seconds = recentCheck, xtWord(info, 0)
		r.has |= matchClient
	default:
		r.doubt("match recent")
	}
	r.recentName = trimNul(info[xtRecentName:xtRecentSide])
}

// do takes an xtables target.
func (r *svcRule) do(family uint8, name []byte, revision uint32, info []byte) {
	switch string(name) {
	case "DNAT":
		to, ok := xtDNAT(family, revision, info)
		if !ok {
			r.doubt("target DNAT")
		}
		r.act(svcDNAT, nil)
		r.dnat = to
	case "MARK":
		r.act(svcMark, nil)
	case "MASQUERADE":
		r.act(svcMasquerade, nil)
	case "REJECT":
		r.act(svcReject, nil)
	default:
		r.act(svcAccept, nil)
		r.doubt("target ", string(name))
	}
}

// xtDNAT reads the one address and port of a translation: up to revision 0 of IPv4 nf_nat_ipv4_multi_range_compat, with a count in front and addresses of four
// bytes; else nf_nat_range, which nf_nat_range2 of revision 2 begins with.
func xtDNAT(family uint8, revision uint32, info []byte) (to netip.AddrPort, ok bool) {
	at, size := 4, 16
	if family == unix.NFPROTO_IPV4 && revision == 0 {
		if len(info) < 4 || xtWord(info, 0) != 1 {
			return to, false
		}
		info, size = info[4:], 4
	}
	if len(info) < at+2*size+4 || revision > 2 || xtWord(info, 0)&3 != 3 { // NF_NAT_RANGE_MAP_IPS and _PROTO_SPECIFIED
		return to, false
	}
	min, max, ports := info[at:at+size], info[at+size:at+2*size], info[at+2*size:]
	if string(min) != string(max) || string(ports[:2]) != string(ports[2:4]) {
		return to, false
	}
	if family == unix.NFPROTO_IPV4 {
		min = min[:4]
	}
	addr, ok := netip.AddrFromSlice(min)
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(ports)), ok
}
