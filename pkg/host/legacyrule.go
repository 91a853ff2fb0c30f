package host

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// rule decodes one entry.
func (t *legacyTable) rule(at int) facts.FilterRule {
	b := &ruleBuilder{family: t.family.proto}
	target, next, err := t.bounds(at)
	if err != nil || target < t.family.entry || target > next {
		b.opaque()
		return b.FilterRule
	}
	packets := t.packets(at)
	b.Packets = &packets
	jumps := t.head(b, t.blob[at:at+t.family.entry])
	for m := at + t.family.entry; m < at+target; {
		name, info, revision, size, ok := t.extension(m, at+target)
		if !ok {
			b.opaque()
			break
		}
		b.xtMatch(string(name), revision, info)
		m += size
	}
	name, info, revision, _, ok := t.extension(at+target, at+next)
	switch {
	case !ok:
		b.opaque()
	case len(name) == 0:
		t.standard(b, info, at+next, jumps)
	default:
		b.xtTarget(string(name), revision, info)
	}
	return b.FilterRule
}

// standard decodes the verdict of a standard target: negative for a verdict of its own, else the offset of the entry at which to go on.
func (t *legacyTable) standard(b *ruleBuilder, info []byte, next int, goes string) {
	if len(info) < 4 {
		b.opaque()
		return
	}
	switch v := int32(xtWord(info, 0)); {
	case v == -1:
		b.verdict(verdictDrop, "")
	case v == -2:
		b.verdict(verdictAccept, "")
	case v == -5: // XT_RETURN
		b.verdict(verdictReturn, "")
	case int(v) == next: // a rule without a target falls through to the next
	case v >= 0:
		name, ok := t.at(int(v))
		if !ok {
			b.opaque()
			return
		}
		b.verdict(goes, string(name))
	default: // NF_QUEUE
		b.opaque()
	}
}

// at gives the name of the chain whose first rule starts at an offset, which is how a jump names it.
func (t *legacyTable) at(offset int) ([]byte, bool) {
	i, ok := slices.BinarySearchFunc(t.chains, offset, func(c legacyChain, offset int) int { return cmp.Compare(t.entries[c.first], offset) })
	if !ok || t.chains[i].hook >= 0 {
		return nil, false
	}
	return t.chains[i].name, true
}

// The flags of struct ipt_ip and ip6t_ip6.
const (
	legacyFlagGoto    = 2    // IPT_F_GOTO
	legacy6FlagProto  = 1    // IP6T_F_PROTO
	legacy6FlagGoto   = 4    // IP6T_F_GOTO
	legacyInvIn       = 0x01 // IPT_INV_VIA_IN
	legacyInvOut      = 0x02
	legacyInvSrc      = 0x08
	legacyInvDst      = 0x10
	legacyInvProto    = 0x40
	legacyInvKnown    = legacyInvIn | legacyInvOut | legacyInvSrc | legacyInvDst | legacyInvProto
	legacyAddressPart = 4 // source, destination and their masks
)

// head decodes the addresses, links and protocol that lead an entry, and says whether its target is a jump or a goto.
func (t *legacyTable) head(b *ruleBuilder, e []byte) (jumps string) {
	size := 4
	if t.family.proto == unix.NFPROTO_IPV6 {
		size = 16
	}
	links := legacyAddressPart * size
	tail := e[links+64:] // behind two names and two masks of 16 bytes
	proto := binary.NativeEndian.Uint16(tail)
	flags, inverted := tail[2], tail[3]
	known, gotoFlag := byte(legacyFlagGoto), byte(legacyFlagGoto)
	if size == 16 { // a TOS stands between the protocol and the flags
		flags, inverted = tail[3], tail[4]
		known, gotoFlag = legacy6FlagProto|legacy6FlagGoto, legacy6FlagGoto
	}
	if flags&^known != 0 || inverted&^legacyInvKnown != 0 {
		b.opaque()
	}
	b.legacyAddress(&b.Src, e[:size], e[2*size:3*size], inverted&legacyInvSrc != 0)
	b.legacyAddress(&b.Dst, e[size:2*size], e[3*size:4*size], inverted&legacyInvDst != 0)
	b.legacyLink(&b.InLink, e[links:links+16], e[links+32:links+48], inverted&legacyInvIn != 0)
	b.legacyLink(&b.OutLink, e[links+16:links+32], e[links+48:links+64], inverted&legacyInvOut != 0)
	switch {
	case proto > math.MaxUint8:
		b.opaque()
	case proto != 0:
		b.match(&b.Proto, protoName(uint8(proto)), inverted&legacyInvProto != 0)
	case inverted&legacyInvProto != 0:
		b.opaque()
	}
	if flags&gotoFlag != 0 {
		return verdictGoto
	}
	return verdictJump
}

func (b *ruleBuilder) legacyAddress(field *string, addr, mask []byte, inverted bool) {
	ones, ok := maskBits(mask)
	a, _ := netip.AddrFromSlice(addr)
	switch {
	case !ok:
		b.opaque()
	case ones == 0 && !inverted:
	default:
		b.match(field, netip.PrefixFrom(a, ones).String(), inverted)
	}
}

// legacyLink decodes a link's name with the mask of the bytes that are compared: with the closing zero byte it is the whole name.
func (b *ruleBuilder) legacyLink(field *string, name, mask []byte, inverted bool) {
	compared := bytes.IndexByte(mask, 0)
	if compared < 0 {
		compared = len(mask)
	}
	switch {
	case len(bytes.Trim(mask[compared:], "\x00")) != 0:
		b.opaque()
	case compared == 0 && !inverted:
	default:
		b.match(field, linkPattern(name[:compared]), inverted)
	}
}
