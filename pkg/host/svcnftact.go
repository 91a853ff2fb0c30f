package host

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// What x/sys does not name of linux/netfilter/nf_tables.h.
const (
	nftNumgenRandom = 1 // NFT_NG_RANDOM
	nftFibSrcAddr   = 1 // NFTA_FIB_F_SADDR
	nftFibDstAddr   = 2
	nftDynsetUpdate = 1 // NFT_DYNSET_OP_UPDATE
)

// immediate is a verdict, or a value for a translation.
func (d *svcDecoder) immediate(a *nftAttrs) {
	data := a[unix.NFTA_IMMEDIATE_DATA]
	if len(a[unix.NFTA_IMMEDIATE_DREG]) < 4 || attrBE32(a[unix.NFTA_IMMEDIATE_DREG]) != unix.NFT_REG_VERDICT {
		v := dataBytes(data)
		d.load(a[unix.NFTA_IMMEDIATE_DREG], (len(v)+3)/4, svcRegister{key: keyValue, value: v})
		return
	}
	v, target, ok := svcDataVerdict(data)
	if !ok {
		d.rule.doubt("a verdict")
	}
	d.rule.act(v, target)
}

// svcDataVerdict decodes a verdict as data (NFTA_DATA_VERDICT): an immediate's or a map element's. Not ok is one that kube-proxy does not write.
func svcDataVerdict(data []byte) (v svcVerdict, chain []byte, ok bool) {
	code, seen := int32(0), false
	for a := (nlAttrs{rest: attrOf(data, unix.NFTA_DATA_VERDICT)}); a.next(); {
		switch a.typ {
		case unix.NFTA_VERDICT_CODE:
			code, seen = int32(attrBE32(a.v)), len(a.v) >= 4
		case unix.NFTA_VERDICT_CHAIN:
			chain = trimNul(a.v)
		}
	}
	switch {
	case !seen:
	case code == 0:
		return svcDrop, nil, true
	case code == 1:
		return svcAccept, nil, true
	case code == unix.NFT_RETURN:
		return svcReturn, nil, true
	case code == unix.NFT_CONTINUE:
		return svcNone, nil, true
	case code == unix.NFT_JUMP && len(chain) > 0:
		return svcJump, chain, true
	case code == unix.NFT_GOTO && len(chain) > 0:
		return svcGoto, chain, true
	}
	return svcAccept, nil, false
}

// lookup takes one set or map. Only a map to verdicts may be anything but a match.
func (d *svcDecoder) lookup(a *nftAttrs) {
	r := &d.rule
	if r.set != nil {
		if !r.setVerdict && r.verdict == svcNone && a[unix.NFTA_LOOKUP_DREG] != nil && d.lookedUp(svcSlot(a[unix.NFTA_LOOKUP_SREG])) == svcKeyNodePort {
			r.ports = trimNul(a[unix.NFTA_LOOKUP_SET])
			r.act(svcLookup, nil)
			return
		}
		r.doubt("two look-ups")
		return
	}
	r.has |= matchSet
	r.set = trimNul(a[unix.NFTA_LOOKUP_SET])
	r.setNegated = attrBE32(a[unix.NFTA_LOOKUP_FLAGS])&1 != 0 // NFT_LOOKUP_F_INV
	r.setKey = d.lookedUp(svcSlot(a[unix.NFTA_LOOKUP_SREG]))
	if dreg := a[unix.NFTA_LOOKUP_DREG]; dreg != nil {
		if attrBE32(dreg) != unix.NFT_REG_VERDICT {
			r.doubt("a map to values")
			return
		}
		r.setVerdict = true
		r.act(svcLookup, nil)
	}
	if r.setKey == svcKeyOther {
		r.doubt("a look-up of something else")
	}
}

// lookedUp says what the registers from one on hold, as kube-proxy's sets and maps want it.
func (d *svcDecoder) lookedUp(i int) svcKey {
	full := 1
	if d.family == unix.NFPROTO_IPV6 {
		full = 4
	}
	is := func(slot int, key nftKey) bool {
		return slot < len(d.regs) && d.regs[slot].key == key && d.regs[slot].mask == nil
	}
	whole := func(slot int, key nftKey) bool { return is(slot, key) && d.regs[slot].size == 4*full }
	switch {
	case i < 0:
		return svcKeyOther
	case is(i, keyRandom):
		d.rule.modulus = d.modulus
		return svcKeyRandom
	case is(i, keyL4Proto) && is(i+1, keyDPort):
		return svcKeyNodePort
	case whole(i, keyDst) && is(i+full, keyL4Proto) && is(i+full+1, keyDPort):
		return svcKeyFront
	case whole(i, keyDst):
		return svcKeyDest
	case whole(i, keySrc):
		return svcKeySource
	}
	return svcKeyOther
}

// numgen is a random number below the modulus.
func (d *svcDecoder) numgen(a *nftAttrs) {
	const dreg, modulus, kind, offset = 1, 2, 3, 4 // NFTA_NG_DREG, _MODULUS, _TYPE, _OFFSET
	v := svcRegister{key: keyRandom}
	if attrBE32(a[kind]) != nftNumgenRandom || attrBE32(a[offset]) != 0 {
		v.key = keyUnknown
	}
	d.modulus = attrBE32(a[modulus])
	d.load(a[dreg], 1, v)
}

// fib looks up of which kind an address is, without regard to the link.
func (d *svcDecoder) fib(a *nftAttrs) {
	const dreg, result, flags = 1, 2, 3 // NFTA_FIB_DREG, _RESULT, _FLAGS
	var v svcRegister
	if attrBE32(a[result]) == unix.NFT_FIB_RESULT_ADDRTYPE {
		switch attrBE32(a[flags]) {
		case nftFibSrcAddr:
			v.key = keySrcType
		case nftFibDstAddr:
			v.key = keyDstType
		}
	}
	d.load(a[dreg], 1, v)
}

// nat takes a translation of the destination to one address and port.
func (d *svcDecoder) nat(a *nftAttrs) {
	r := &d.rule
	switch attrBE32(a[unix.NFTA_NAT_TYPE]) {
	case unix.NFT_NAT_DNAT:
		r.act(svcDNAT, nil)
	default:
		r.act(svcAccept, nil)
		r.doubt("a translation of the source")
		return
	}
	one := func(from, to []byte) bool { return to == nil || string(from) == string(to) }
	addr, port := d.at(a[unix.NFTA_NAT_REG_ADDR_MIN]).value, d.at(a[unix.NFTA_NAT_REG_PROTO_MIN]).value
	to, ok := netip.AddrFromSlice(addr)
	if !ok || len(port) < 2 || !one(a[unix.NFTA_NAT_REG_ADDR_MIN], a[unix.NFTA_NAT_REG_ADDR_MAX]) || !one(a[unix.NFTA_NAT_REG_PROTO_MIN], a[unix.NFTA_NAT_REG_PROTO_MAX]) {
		r.doubt("a translation to several addresses or ports")
		return
	}
	r.dnat = netip.AddrPortFrom(to, binary.BigEndian.Uint16(port))
}

// dynset puts the source into a set of clients.
func (d *svcDecoder) dynset(a *nftAttrs) {
	const name, op, key = 1, 3, 4 // NFTA_DYNSET_SET_NAME, _OP, _SREG_KEY
	if attrBE32(a[op]) != nftDynsetUpdate || d.lookedUp(svcSlot(a[key])) != svcKeySource {
		d.rule.doubt("a change of a set")
		return
	}
	d.rule.recent, d.rule.recentName = d.rule.recent|recentSet, trimNul(a[name])
}
