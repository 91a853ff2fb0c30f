package host

import (
	"testing"

	"golang.org/x/sys/unix"
)

// expression builds the attributes of one expression.
func expression(name string, attrs ...[]byte) []byte {
	var data []byte
	for _, a := range attrs {
		data = append(data, a...)
	}
	e := appendAttr(nil, unix.NFTA_EXPR_NAME, nulString(name))
	return appendAttr(nil, unix.NFTA_LIST_ELEM, appendAttr(e, unix.NFTA_EXPR_DATA, data))
}

func be32(typ uint16, v uint32) []byte {
	return appendAttr(nil, typ, []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

func value(typ uint16, v ...byte) []byte {
	return appendAttr(nil, typ, appendAttr(nil, unix.NFTA_DATA_VALUE, v))
}

func rule(expressions ...[]byte) []byte {
	var all []byte
	for _, e := range expressions {
		all = append(all, e...)
	}
	return appendAttr(nil, unix.NFTA_RULE_EXPRESSIONS, all)
}

// TestNFTRuleOpaque has what no program writes today: whatever is not understood must be opaque.
func TestNFTRuleOpaque(t *testing.T) {
	accept := expression("immediate", be32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT),
		appendAttr(nil, unix.NFTA_IMMEDIATE_DATA, appendAttr(nil, unix.NFTA_DATA_VERDICT, be32(unix.NFTA_VERDICT_CODE, 1))))
	reg1 := be32(unix.NFTA_META_DREG, unix.NFT_REG_1)
	mark := expression("meta", reg1, be32(unix.NFTA_META_KEY, unix.NFT_META_MARK))
	equals := func(reg uint32, v ...byte) []byte {
		return expression("cmp", be32(unix.NFTA_CMP_SREG, reg), be32(unix.NFTA_CMP_OP, unix.NFT_CMP_EQ), value(unix.NFTA_CMP_DATA, v...))
	}
	masked := func(attrs ...[]byte) []byte {
		all := append([][]byte{be32(unix.NFTA_BITWISE_SREG, unix.NFT_REG_1), be32(unix.NFTA_BITWISE_DREG, unix.NFT_REG_1)}, attrs...)
		return expression("bitwise", all...)
	}
	mask, zero := value(unix.NFTA_BITWISE_MASK, 0, 0x40, 0, 0), value(unix.NFTA_BITWISE_XOR, 0, 0, 0, 0)
	tests := []struct {
		name   string
		rule   []byte
		opaque bool
	}{
		{"understood", rule(mark, masked(mask, zero), equals(1, 0, 0x40, 0, 0), accept), false},
		{"unknown expression", rule(expression("crystal-ball"), accept), true},
		{"register that was not loaded", rule(equals(1, 1, 0, 0, 0), accept), true},
		{"register in between", rule(mark, equals(unix.NFT_REG32_01, 1, 0, 0, 0), accept), true},
		{"register out of range", rule(mark, equals(0xffffffff, 1), accept), true},
		{"no data", rule(mark, equals(1), accept), true},
		{"masked twice", rule(mark, masked(mask, zero), masked(mask, zero), equals(1, 0, 0x40, 0, 0), accept), true},
		{"shifted", rule(mark, masked(mask, zero, be32(nftaBitwiseOp, 1)), equals(1, 0, 0x40, 0, 0), accept), true},
		{"xored", rule(mark, masked(mask, value(unix.NFTA_BITWISE_XOR, 1, 0, 0, 0)), equals(1, 0, 0x40, 0, 0), accept), true},
		{"mask without xor", rule(mark, masked(mask), equals(1, 0, 0x40, 0, 0), accept), true},
		{"two of a kind", rule(mark, equals(1, 1, 0, 0, 0), mark, equals(1, 2, 0, 0, 0), accept), true},
		{"no verdict in the data", rule(expression("immediate", be32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT))), true},
		{"queue", rule(expression("queue")), true},
		{"rewritten packet", rule(expression("payload", be32(unix.NFTA_PAYLOAD_SREG, 1))), true},
		{"not an element", appendAttr(nil, unix.NFTA_RULE_EXPRESSIONS, appendAttr(nil, 9, nil)), true},
		{"cut in an expression", appendAttr(nil, unix.NFTA_RULE_EXPRESSIONS, appendAttr(nil, unix.NFTA_LIST_ELEM, []byte{99, 0, 1, 0})), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := decodeNFTRule(unix.NFPROTO_IPV4, tt.rule, interfaceName)
			if err != nil || r.Opaque != tt.opaque {
				t.Errorf("decodeNFTRule = %+v, %v; want opaque %v", r, err, tt.opaque)
			}
		})
	}
	if _, err := decodeNFTRule(unix.NFPROTO_IPV4, []byte{99, 0, 1, 0}, interfaceName); err == nil {
		t.Error("decodeNFTRule of an attribute that is cut short = nil; want an error")
	}
}

func TestUserComment(t *testing.T) {
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"comment", []byte("\x00\x03hi\x00"), "hi"},
		{"behind another", []byte("\x01\x01x\x00\x02ho"), "ho"},
		{"too long", []byte("\x00\x09hi"), ""},
		{"nothing", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := userComment(tt.data); got != tt.want {
				t.Errorf("userComment(%q) = %q; want %q", tt.data, got, tt.want)
			}
		})
	}
}

func TestMaskBits(t *testing.T) {
	for _, tt := range []struct {
		name string
		mask []byte
		ones int
		ok   bool
	}{
		{"all", []byte{255, 255}, 16, true},
		{"none", []byte{0, 0}, 0, true},
		{"within a byte", []byte{255, 0xf0}, 12, true},
		{"hole", []byte{255, 0xf1}, 12, false},
		{"one behind", []byte{0x80, 1}, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ones, ok := maskBits(tt.mask)
			if ok != tt.ok || ok && ones != tt.ones {
				t.Errorf("maskBits(%x) = %d, %v; want %d, %v", tt.mask, ones, ok, tt.ones, tt.ok)
			}
		})
	}
}

func FuzzNFTRule(f *testing.F) {
	f.Add(rule(expression("meta", be32(1, 1), be32(2, unix.NFT_META_L4PROTO)), expression("cmp", be32(1, 1), be32(2, 0), value(3, 17)),
		expression("payload", be32(1, 1), be32(2, 2), be32(3, 2), be32(4, 2)), expression("cmp", be32(1, 1), be32(2, 5), value(3, 0x21, 0x18))))
	f.Add(rule(expression("payload", be32(1, 1), be32(2, 1), be32(3, 12), be32(4, 4)), expression("bitwise", be32(1, 1), be32(2, 1),
		value(4, 255, 128, 0, 0), value(5, 0, 0, 0, 0)), expression("cmp", be32(1, 1), be32(2, 0), value(3, 10, 0, 0, 0))))
	f.Add(rule(expression("match", appendAttr(nil, 1, nulString("conntrack")), be32(2, 3), appendAttr(nil, 3, make([]byte, 160)))))
	f.Add(rule(expression("ct", be32(1, 1), be32(2, 0)), expression("bitwise", be32(1, 1), be32(2, 1), value(4, 6, 0, 0, 0), value(5, 0, 0, 0, 0)),
		expression("cmp", be32(1, 1), be32(2, 1), value(3, 0, 0, 0, 0)), expression("masq", be32(1, 16))))
	f.Fuzz(func(t *testing.T, attrs []byte) {
		for _, family := range []uint8{unix.NFPROTO_INET, unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
			if _, err := decodeNFTRule(family, attrs, func(uint32) string { return "lo" }); err != nil {
				continue
			}
		}
	})
}

func FuzzNFTChain(f *testing.F) {
	hook := appendAttr(be32(unix.NFTA_HOOK_HOOKNUM, 2), unix.NFTA_HOOK_PRIORITY, []byte{0, 0, 0, 0})
	seed := appendAttr(nfgenmsg(2), unix.NFTA_CHAIN_TABLE, nulString("filter"))
	seed = appendAttr(seed, unix.NFTA_CHAIN_NAME, nulString("FORWARD"))
	f.Add(appendAttr(seed, unix.NFTA_CHAIN_HOOK, hook))
	f.Fuzz(func(t *testing.T, body []byte) {
		var a nftChainAttrs
		if nfAttrs(body, a.take) != nil {
			return
		}
		bulkPrefix(a.name)
		if _, err := a.chain(2); err != nil {
			return
		}
	})
}
