package host

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"golang.org/x/sys/unix"
)

// service decodes one entry as a rule of kube-proxy's.
func (t *legacyTable) service(at int, r *svcRule) {
	target, next, err := t.bounds(at)
	if err != nil || target < t.family.entry || target > next {
		r.doubt("an entry that does not hold together")
		return
	}
	leads := t.serviceHead(r, t.blob[at:at+t.family.entry])
	for m := at + t.family.entry; m < at+target; {
		name, info, revision, size, ok := t.extension(m, at+target)
		if !ok {
			r.doubt("an entry that does not hold together")
			break
		}
		r.match(name, revision, info)
		m += size
	}
	name, info, revision, _, ok := t.extension(at+target, at+next)
	switch {
	case !ok:
		r.doubt("an entry that does not hold together")
	case len(name) == 0:
		t.serviceVerdict(r, info, at+next, leads)
	default:
		r.do(t.family.proto, name, revision, info)
	}
}

// serviceVerdict decodes the verdict of a standard target, as [legacyTable.standard] does.
func (t *legacyTable) serviceVerdict(r *svcRule, info []byte, next int, leads svcVerdict) {
	if len(info) < 4 {
		r.doubt("a verdict")
		return
	}
	switch v := int32(xtWord(info, 0)); {
	case v == -1:
		r.act(svcDrop, nil)
	case v == -2:
		r.act(svcAccept, nil)
	case v == -5:
		r.act(svcReturn, nil)
	case int(v) == next:
	case v >= 0:
		name, ok := t.at(int(v))
		if !ok {
			r.act(svcAccept, nil)
			r.doubt("a jump to no chain")
			return
		}
		r.act(leads, name)
	default:
		r.act(svcAccept, nil)
		r.doubt("a verdict")
	}
}

// serviceHead decodes the addresses, links and protocol that lead an entry, as [legacyTable.head] does, and says how its target leads on.
func (t *legacyTable) serviceHead(r *svcRule, e []byte) svcVerdict {
	size := 4
	if t.family.proto == unix.NFPROTO_IPV6 {
		size = 16
	}
	links := legacyAddressPart * size
	tail := e[links+64:]
	proto := binary.NativeEndian.Uint16(tail)
	flags, inverted := tail[2], tail[3]
	known, gotoFlag := byte(legacyFlagGoto), byte(legacyFlagGoto)
	if size == 16 {
		flags, inverted = tail[3], tail[4]
		known, gotoFlag = legacy6FlagProto|legacy6FlagGoto, legacy6FlagGoto
	}
	const legacyKnown = legacyInvIn | legacyInvSrc | legacyInvDst | legacyInvProto
	if flags&^known != 0 || inverted&^legacyKnown != 0 {
		r.doubt("an inverted or unknown match")
	}
	r.legacyAddress(&r.src, e[:size], e[2*size:3*size], inverted&legacyInvSrc != 0)
	r.legacyAddress(&r.dst, e[size:2*size], e[3*size:4*size], inverted&legacyInvDst != 0)
	if e[links+32] != 0 { // the mask of the incoming link's name
		r.has |= matchLink
		r.linkNot = inverted&legacyInvIn != 0
	}
	if e[links+48] != 0 {
		r.doubt("a match of the outgoing link")
	}
	if proto != 0 {
		r.protocol(uint8(proto), proto > 0xff || inverted&legacyInvProto != 0)
	}
	if flags&gotoFlag != 0 {
		return svcGoto
	}
	return svcJump
}

func (r *svcRule) legacyAddress(a *svcAddress, addr, mask []byte, inverted bool) {
	ones, ok := maskBits(mask)
	switch ip, _ := netip.AddrFromSlice(addr); {
	case !ok:
		r.doubt("a match of an address with holes")
	case ones != 0 || inverted:
		r.address(a, netip.PrefixFrom(ip, ones), inverted)
	}
}

// hash adds the table's content to a hash, but for the counters, which change all the time: a legacy table has no generation.
func (t *legacyTable) hash(h *maphash.Hash) {
	from := 0
	for _, at := range t.entries {
		counters := at + t.family.entry - 16
		h.Write(t.blob[from:counters])
		from = counters + 16
	}
	h.Write(t.blob[from:])
}
