package host

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"golang.org/x/sys/unix"
)

// The layouts below are those of linux/netfilter/xt_*.h. An info that is shorter than its structure makes the rule opaque.

// xtMatch takes an xtables match, of iptables-legacy or of iptables-nft where that has no native expression for it.
func (b *ruleBuilder) xtMatch(name string, revision uint32, info []byte) {
	switch {
	case name == "comment" && revision == 0:
		b.Comment = attrString(info)
	case name == "mark" && revision == 1 && len(info) >= 9: // xt_mark_mtinfo1: mark, mask, invert
		b.matchMark(xtWord(info, 0), xtWord(info, 4), info[8] != 0)
	case name == "state" && revision == 0 && len(info) >= 4: // xt_state_info: statemask
		b.matchState(xtWord(info, 0), false) // its XT_STATE_UNTRACKED is nf_tables' bit
	case name == "conntrack":
		b.xtConntrack(revision, info)
	case name == "tcp" && revision == 0 && len(info) >= 12: // xt_tcp: spts, dpts, option, flg_mask, flg_cmp, invflags
		b.xtPorts(info, info[11]>>1&1 != 0)
		if info[8] != 0 || info[9] != 0 || info[11]&^2 != 0 {
			b.opaque()
		}
	case name == "udp" && revision == 0 && len(info) >= 9: // xt_udp: spts, dpts, invflags
		b.xtPorts(info, info[8]>>1&1 != 0)
		if info[8]&^2 != 0 {
			b.opaque()
		}
	default:
		b.opaque()
	}
}

// xtPorts takes the source and destination ports at the head of xt_tcp and xt_udp, each a first and a last one.
func (b *ruleBuilder) xtPorts(info []byte, inverted bool) {
	port := func(i int) uint16 { return binary.NativeEndian.Uint16(info[2*i:]) }
	if port(0) != 0 || port(1) != math.MaxUint16 {
		b.opaque()
	}
	first, last := port(2), port(3)
	switch {
	case first == 0 && last == math.MaxUint16 && !inverted:
	case first == last:
		b.match(&b.DPort, strconv.Itoa(int(first)), inverted)
	default:
		b.match(&b.DPort, fmt.Sprintf("%d:%d", first, last), inverted)
	}
}

// The bits of xt_conntrack's state mask beside those of ctStates (linux/netfilter/xt_conntrack.h).
const xtStateUntracked = 1 << 8

// xtState takes a state mask of xt_conntrack. Its bits for translated connections (XT_CONNTRACK_STATE_SNAT and _DNAT) are the status of a connection:
// alone they are told as that, beside a state the facts cannot say them.
func (b *ruleBuilder) xtState(mask uint32, inverted bool) {
	if nat := mask >> 6 & 3; nat != 0 && nat<<6 == mask && !inverted {
		b.matchStatus(nat << 4)
		return
	}
	set := mask & (1<<len(ctStates()) - 1)
	if mask&xtStateUntracked != 0 {
		set |= stateUntracked
	}
	if mask&^(set|xtStateUntracked) != 0 {
		b.opaque()
		return
	}
	b.matchState(set, inverted)
}

// xtConntrack takes the match of the connection's state or status. Whatever else it can match is not understood.
func (b *ruleBuilder) xtConntrack(revision uint32, info []byte) {
	const (
		offset  = 146     // of the flags, behind eight addresses of 16 bytes, two times, a protocol and four ports
		state   = 1       // XT_CONNTRACK_STATE
		status  = 1 << 6  // XT_CONNTRACK_STATUS
		aliased = 1 << 13 // XT_CONNTRACK_STATE_ALIAS: it was written as -m state
	)
	var states, statuses uint32
	switch {
	case revision == 1 && len(info) >= offset+6: // xt_conntrack_mtinfo1 keeps both masks in a byte each
		states, statuses = uint32(info[offset+4]), uint32(info[offset+5])
	case (revision == 2 || revision == 3) && len(info) >= offset+8:
		states, statuses = uint32(binary.NativeEndian.Uint16(info[offset+4:])), uint32(binary.NativeEndian.Uint16(info[offset+6:]))
	default:
		b.opaque()
		return
	}
	flags, inverted := binary.NativeEndian.Uint16(info[offset:]), binary.NativeEndian.Uint16(info[offset+2:])
	if flags&state != 0 {
		b.xtState(states, inverted&state != 0)
	}
	if flags&status != 0 && inverted&status == 0 {
		b.matchStatus(statuses)
		flags &^= status
	}
	if flags&^(state|aliased) != 0 {
		b.opaque()
	}
}

// xtTarget takes an xtables target.
func (b *ruleBuilder) xtTarget(name string, revision uint32, info []byte) {
	switch name {
	case "MASQUERADE":
		b.verdict(verdictMasquerade, "")
		b.natFlags(revision, info)
	case "SNAT":
		b.verdict(verdictSNAT, "")
		b.natFlags(revision, info)
	case "DNAT":
		b.verdict(verdictDNAT, "")
	case "REDIRECT":
		b.verdict(verdictDNAT, name)
	case "REJECT":
		b.verdict(verdictReject, "")
	case "NOTRACK":
		b.verdict(verdictNotrack, "")
	case "MARK":
		if revision != 2 || len(info) < 8 { // xt_mark_tginfo2: mark, mask
			b.opaque()
			return
		}
		b.setMark(xtWord(info, 0), xtWord(info, 4))
	case "CT":
		// The flags lead every revision of xt_ct_target_info; XT_CT_NOTRACK is the first bit.
		if len(info) >= 2 && binary.NativeEndian.Uint16(info)&1 != 0 {
			b.verdict(verdictNotrack, "")
			return
		}
		b.Target = name
	case "LOG", "NFLOG", "CONNMARK", "CHECKSUM", "TCPMSS", "CLASSIFY", "DSCP", "TOS", "TTL", "HL", "TRACE", "SET", "RATEEST", "AUDIT":
		b.Target = name // the walk goes on behind them (XT_CONTINUE)
	default:
		b.Target = name
		b.opaque()
	}
}

// natFlags reads the flags of a range. MASQUERADE and SNAT of IPv4 have the old structure with a count in front
// (nf_nat_ipv4_multi_range_compat) up to revision 0, everything else starts with the flags.
func (b *ruleBuilder) natFlags(revision uint32, info []byte) {
	offset := 0
	if b.family == unix.NFPROTO_IPV4 && revision == 0 {
		offset = 4
	}
	if len(info) < offset+4 {
		b.opaque()
		return
	}
	b.RandomFully = xtWord(info, offset)&natRandomFully != 0
}
