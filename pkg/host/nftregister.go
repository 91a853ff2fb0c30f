package host

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// nftKey is what a register holds.
type nftKey int

const (
	keyUnknown nftKey = iota
	keyValue          // a constant
	keyInName
	keyOutName
	keyInIndex
	keyOutIndex
	keyL4Proto
	keyNFProto
	keyMark
	keyCTState
	keyCTStatus
	keySrc
	keyDst
	keyDPort
)

// nftRegister is what one register holds: a part of the packet, masked and xored where mask is not nil.
type nftRegister struct {
	key   nftKey
	part  bool   // only the first bytes of an address
	value []byte // of keyValue
	mask  []byte
	xor   []byte
}

// register finds one of the four registers of 16 bytes. The kernel names a register so where it starts at one of them; others are used for
// concatenations alone, which are looked up in sets.
func (d *nftDecoder) register(attr []byte) *nftRegister {
	n := attrBE32(attr)
	if len(attr) < 4 || n < unix.NFT_REG_1 || n > unix.NFT_REG_4 {
		return nil
	}
	return &d.regs[n]
}

func (d *nftDecoder) load(reg []byte, v nftRegister) {
	if r := d.register(reg); r != nil {
		*r = v
	}
}

func (d *nftDecoder) meta(a *nftAttrs) {
	key := attrBE32(a[unix.NFTA_META_KEY])
	if a[unix.NFTA_META_SREG] != nil {
		d.setMeta(key, d.register(a[unix.NFTA_META_SREG]))
		return
	}
	keys := map[uint32]nftKey{
		unix.NFT_META_IIFNAME: keyInName, unix.NFT_META_OIFNAME: keyOutName, unix.NFT_META_IIF: keyInIndex, unix.NFT_META_OIF: keyOutIndex,
		unix.NFT_META_L4PROTO: keyL4Proto, unix.NFT_META_NFPROTO: keyNFProto, unix.NFT_META_MARK: keyMark,
	}
	d.load(a[unix.NFTA_META_DREG], nftRegister{key: keys[key]})
}

// setMeta is a statement: of those that change the packet's meta data only the mark is told.
func (d *nftDecoder) setMeta(key uint32, r *nftRegister) {
	if key != unix.NFT_META_MARK {
		return
	}
	switch {
	case r != nil && r.key == keyValue && len(r.value) >= 4 && r.mask == nil:
		d.setMark(attrUint32(r.value), ^uint32(0))
	case r != nil && r.key == keyMark && len(r.mask) >= 4 && len(r.xor) >= 4:
		d.setMark(attrUint32(r.xor), ^attrUint32(r.mask))
	default:
		d.verdict(verdictMark, "")
		d.opaque()
	}
}

// setMark says that the mark becomes (mark AND NOT mask) XOR value, as iptables' --set-xmark value/mask does.
func (b *ruleBuilder) setMark(value, mask uint32) {
	if b.SetMark != "" {
		b.opaque()
		return
	}
	b.SetMark = fmt.Sprintf("xor 0x%x/0x%x", value, mask)
	b.verdict(verdictMark, "")
}

func (d *nftDecoder) payload(a *nftAttrs) {
	if a[unix.NFTA_PAYLOAD_SREG] != nil {
		d.opaque() // it changes the packet
		return
	}
	base, offset, size := attrBE32(a[unix.NFTA_PAYLOAD_BASE]), attrBE32(a[unix.NFTA_PAYLOAD_OFFSET]), attrBE32(a[unix.NFTA_PAYLOAD_LEN])
	r := nftRegister{key: d.payloadKey(base, offset, size)}
	r.part = (r.key == keySrc || r.key == keyDst) && int(size) != d.keySize(r.key)
	d.load(a[unix.NFTA_PAYLOAD_DREG], r)
}

// payloadKey names a part of the packet by its place in the IPv4, IPv6, TCP or UDP header. A short load of an address is its prefix.
func (d *nftDecoder) payloadKey(base, offset, size uint32) nftKey {
	family := d.family
	if family == unix.NFPROTO_INET {
		family = d.proto
	}
	switch {
	case base == unix.NFT_PAYLOAD_NETWORK_HEADER && family == unix.NFPROTO_IPV4 && size >= 1 && size <= 4:
		switch {
		case offset == 12:
			return keySrc
		case offset == 16:
			return keyDst
		case offset == 9 && size == 1:
			return keyL4Proto
		}
	case base == unix.NFT_PAYLOAD_NETWORK_HEADER && family == unix.NFPROTO_IPV6 && size >= 1 && size <= 16:
		switch offset {
		case 8:
			return keySrc
		case 24:
			return keyDst
		}
	case base == unix.NFT_PAYLOAD_TRANSPORT_HEADER && offset == 2 && size == 2 && hasPorts(d.Proto):
		return keyDPort
	}
	return keyUnknown
}

// hasPorts says whether the second two bytes of a protocol's header are its destination port.
func hasPorts(proto string) bool { return proto == "tcp" || proto == "udp" || proto == "sctp" }

func (d *nftDecoder) ct(a *nftAttrs) {
	if a[unix.NFTA_CT_SREG] != nil {
		return // it sets connection data, which changes nothing about the packet
	}
	var r nftRegister
	switch attrBE32(a[unix.NFTA_CT_KEY]) {
	case unix.NFT_CT_STATE:
		r.key = keyCTState
	case unix.NFT_CT_STATUS:
		r.key = keyCTStatus
	}
	d.load(a[unix.NFTA_CT_DREG], r)
}

// nftaBitwiseOp is NFTA_BITWISE_OP; its value 0 is masking and xoring (NFT_BITWISE_MASK_XOR).
const nftaBitwiseOp = 6

func (d *nftDecoder) bitwise(a *nftAttrs) {
	src := d.register(a[unix.NFTA_BITWISE_SREG])
	if src == nil {
		d.load(a[unix.NFTA_BITWISE_DREG], nftRegister{})
		return
	}
	v := *src
	v.mask, v.xor = dataValue(a[unix.NFTA_BITWISE_MASK]), dataValue(a[unix.NFTA_BITWISE_XOR])
	if src.mask != nil || v.mask == nil || len(v.xor) != len(v.mask) || attrBE32(a[nftaBitwiseOp]) != 0 {
		v = nftRegister{}
	}
	d.load(a[unix.NFTA_BITWISE_DREG], v)
}

// dataValue is the value of a nested NFTA_DATA_VALUE; nil where there is none.
func dataValue(b []byte) (value []byte) {
	if eachAttr(b, func(typ uint16, v []byte) {
		if typ == unix.NFTA_DATA_VALUE {
			value = v
		}
	}) != nil {
		return nil
	}
	return value
}
