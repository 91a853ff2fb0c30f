package host

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// nftReg32 is the first register of four bytes (NFT_REG32_00). The kernel names one that starts where one of sixteen bytes does by that one's name (nft_dump_register).
const nftReg32 = 8

// svcRegister is what one register of four bytes holds.
type svcRegister struct {
	key   nftKey
	size  int    // bytes of an address that were loaded
	mask  []byte // nil: none
	value []byte // of keyValue
}

// What only the rules of Services load.
const (
	keyRandom nftKey = 100 + iota
	keySrcType
	keyDstType
)

// svcDecoder decodes rules of nf_tables, those of iptables-nft among them, into svcRule. It is used again for each rule.
type svcDecoder struct {
	family  uint8
	rule    svcRule
	regs    [16]svcRegister
	used    int // registers that are not zero are below
	modulus uint32
}

// decode takes a rule's expressions and user data. The error is of a message that is cut short.
func (d *svcDecoder) decode(expressions, userdata []byte) *svcRule {
	d.rule = svcRule{}
	clear(d.regs[:d.used])
	d.used = 0
	if len(userdata) > 0 {
		d.rule.comment = userCommentBytes(userdata)
	}
	list := nlAttrs{rest: expressions}
	for list.next() {
		name, data := []byte(nil), []byte(nil)
		for e := (nlAttrs{rest: list.v}); e.next(); {
			switch e.typ {
			case unix.NFTA_EXPR_NAME:
				name = trimNul(e.v)
			case unix.NFTA_EXPR_DATA:
				data = e.v
			}
		}
		var a nftAttrs
		fields := nlAttrs{rest: data}
		for fields.next() {
			a.take(fields.typ, fields.v)
		}
		if fields.cut {
			d.rule.doubt("an expression that is cut short")
		}
		d.expression(name, &a)
	}
	if list.cut {
		d.rule.doubt("a list of expressions that is cut short")
	}
	return &d.rule
}

// userCommentBytes is userComment without a copy.
func userCommentBytes(v []byte) []byte {
	for len(v) >= 2 {
		size := int(v[1])
		if size > len(v)-2 {
			return nil
		}
		if v[0] == 0 {
			return trimNul(v[2 : 2+size])
		}
		v = v[2+size:]
	}
	return nil
}

func (d *svcDecoder) expression(name []byte, a *nftAttrs) {
	r := &d.rule
	switch string(name) {
	case "match":
		r.match(trimNul(a[unix.NFTA_MATCH_NAME]), attrBE32(a[unix.NFTA_MATCH_REV]), a[unix.NFTA_MATCH_INFO])
	case "target":
		r.do(d.family, trimNul(a[unix.NFTA_TARGET_NAME]), attrBE32(a[unix.NFTA_TARGET_REV]), a[unix.NFTA_TARGET_INFO])
	case "counter":
	case "payload":
		d.payload(a)
	case "meta":
		d.meta(a)
	case "cmp":
		d.compare(a)
	case "bitwise":
		d.bitwise(a)
	case "immediate":
		d.immediate(a)
	case "lookup":
		d.lookup(a)
	case "numgen":
		d.numgen(a)
	case "fib":
		d.fib(a)
	case "nat":
		d.nat(a)
	case "dynset":
		d.dynset(a)
	case "ct":
		d.load(a[unix.NFTA_CT_DREG], 1, svcRegister{key: keyCTState})
		r.has |= matchState
	case "reject":
		r.act(svcReject, nil)
	case "masq":
		r.act(svcMasquerade, nil)
	default:
		r.doubt("expression ", string(name))
		clear(d.regs[:])
	}
}

// slot is where a register starts; -1 for the verdict's and for what is none.
func svcSlot(attr []byte) int {
	switch n := attrBE32(attr); {
	case len(attr) < 4:
	case n >= unix.NFT_REG_1 && n <= unix.NFT_REG_4:
		return int(n-unix.NFT_REG_1) * 4
	case n >= nftReg32 && n < nftReg32+16:
		return int(n - nftReg32)
	}
	return -1
}

// at gives what a register holds; an empty one where it is none.
func (d *svcDecoder) at(attr []byte) svcRegister {
	if i := svcSlot(attr); i >= 0 {
		return d.regs[i]
	}
	return svcRegister{}
}

// load puts a value that takes some words into a register.
func (d *svcDecoder) load(attr []byte, words int, v svcRegister) {
	i := svcSlot(attr)
	if i < 0 {
		return
	}
	end := min(i+max(words, 1), len(d.regs))
	clear(d.regs[i:end])
	d.regs[i] = v
	d.used = max(d.used, end)
}

func (d *svcDecoder) payload(a *nftAttrs) {
	if a[unix.NFTA_PAYLOAD_SREG] != nil {
		d.rule.doubt("a change of the packet")
		return
	}
	base, offset, size := attrBE32(a[unix.NFTA_PAYLOAD_BASE]), attrBE32(a[unix.NFTA_PAYLOAD_OFFSET]), attrBE32(a[unix.NFTA_PAYLOAD_LEN])
	v := svcRegister{size: int(min(size, 64))}
	src, dst, full := uint32(12), uint32(16), uint32(4)
	if d.family == unix.NFPROTO_IPV6 {
		src, dst, full = 8, 24, 16
	}
	switch {
	case base == unix.NFT_PAYLOAD_NETWORK_HEADER && offset == src && size >= 1 && size <= full:
		v.key = keySrc
	case base == unix.NFT_PAYLOAD_NETWORK_HEADER && offset == dst && size >= 1 && size <= full:
		v.key = keyDst
	case base == unix.NFT_PAYLOAD_NETWORK_HEADER && d.family == unix.NFPROTO_IPV4 && offset == 9 && size == 1:
		v.key = keyL4Proto
	case base == unix.NFT_PAYLOAD_TRANSPORT_HEADER && offset == 2 && size == 2:
		v.key = keyDPort
	}
	d.load(a[unix.NFTA_PAYLOAD_DREG], (v.size+3)/4, v)
}

func (d *svcDecoder) meta(a *nftAttrs) {
	key := attrBE32(a[unix.NFTA_META_KEY])
	if a[unix.NFTA_META_SREG] != nil {
		if key == unix.NFT_META_MARK {
			d.rule.act(svcMark, nil)
		} else {
			d.rule.doubt("a change of the packet's meta data")
		}
		return
	}
	var v svcRegister
	words := 4
	switch key {
	case unix.NFT_META_L4PROTO:
		v.key, words = keyL4Proto, 1
	case unix.NFT_META_MARK:
		v.key, words = keyMark, 1
	case unix.NFT_META_IIFNAME:
		v.key = keyInName
	}
	d.load(a[unix.NFTA_META_DREG], words, v)
}

func (d *svcDecoder) compare(a *nftAttrs) {
	r, reg, want := &d.rule, d.at(a[unix.NFTA_CMP_SREG]), dataBytes(a[unix.NFTA_CMP_DATA])
	op := attrBE32(a[unix.NFTA_CMP_OP])
	negated := op == unix.NFT_CMP_NEQ
	if len(want) == 0 || !negated && op != unix.NFT_CMP_EQ {
		r.doubt("a comparison")
		return
	}
	switch reg.key {
	case keySrc:
		r.address(&r.src, d.prefix(reg, want), negated)
	case keyDst:
		r.address(&r.dst, d.prefix(reg, want), negated)
	case keyL4Proto:
		r.protocol(want[0], negated)
	case keyDPort:
		if len(want) < 2 {
			r.doubt("a match of ports")
			return
		}
		p := binary.BigEndian.Uint16(want)
		r.dport(p, p, negated)
	case keyInName:
		r.has, r.linkNot = r.has|matchLink, negated
	case keyMark:
		r.has |= matchMark
	case keyCTState:
	case keySrcType, keyDstType:
		if negated || len(want) < 4 || binary.NativeEndian.Uint32(want) != unix.RTN_LOCAL {
			r.doubt("a match of the kind of an address")
			return
		}
		if reg.key == keySrcType {
			r.has |= matchSrcLocal
		} else {
			r.has |= matchDstLocal
		}
	default:
		r.doubt("a comparison of something else")
	}
}

// prefix is what an address is compared with: its first bytes, or the masked bits.
func (d *svcDecoder) prefix(reg svcRegister, want []byte) netip.Prefix {
	full := 4
	if d.family == unix.NFPROTO_IPV6 {
		full = 16
	}
	ones := 8 * reg.size
	if reg.mask != nil {
		n, ok := maskBits(reg.mask)
		if !ok || len(reg.mask) != reg.size {
			return netip.Prefix{}
		}
		ones = n
	}
	if len(want) != reg.size || len(want) > full {
		return netip.Prefix{}
	}
	var b [16]byte
	copy(b[:], want)
	addr, _ := netip.AddrFromSlice(b[:full])
	return netip.PrefixFrom(addr, ones)
}

func (d *svcDecoder) bitwise(a *nftAttrs) {
	reg := d.at(a[unix.NFTA_BITWISE_SREG])
	mask, xor := dataBytes(a[unix.NFTA_BITWISE_MASK]), dataBytes(a[unix.NFTA_BITWISE_XOR])
	if reg.mask != nil || len(mask) == 0 || attrBE32(a[nftaBitwiseOp]) != 0 || reg.key != keyMark && len(bytes.Trim(xor, "\x00")) != 0 {
		reg = svcRegister{}
	}
	reg.mask = mask
	d.load(a[unix.NFTA_BITWISE_DREG], (len(mask)+3)/4, reg)
}

// dataBytes is dataValue without a function call for each attribute.
func dataBytes(b []byte) []byte { return attrOf(b, unix.NFTA_DATA_VALUE) }
