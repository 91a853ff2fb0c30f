package host

import (
	"testing"

	"golang.org/x/sys/unix"
)

// setElement builds the attributes of one element.
func setElement(key []byte, attrs ...[]byte) []byte {
	var e []byte
	if key != nil {
		e = value(unix.NFTA_SET_ELEM_KEY, key...)
	}
	for _, a := range attrs {
		e = append(e, a...)
	}
	return e
}

// TestNFTSetUnknown has elements that no program makes today: a set with one of them is not understood.
func TestNFTSetUnknown(t *testing.T) {
	end := be32(unix.NFTA_SET_ELEM_FLAGS, unix.NFT_SET_ELEM_INTERVAL_END)
	limit := appendAttr(nil, unix.NFTA_SET_ELEM_EXPR, appendAttr(nil, unix.NFTA_EXPR_NAME, nulString("limit")))
	counter := appendAttr(nil, unix.NFTA_SET_ELEM_EXPR, appendAttr(nil, unix.NFTA_EXPR_NAME, nulString("counter")))
	a, b := []byte{10, 0, 0, 1}, []byte{10, 0, 0, 2}
	for _, tt := range []struct {
		name     string
		flags    uint32
		elements [][]byte
		ok       bool
	}{
		{"understood", 0, [][]byte{setElement(a), setElement(b)}, true},
		{"counted", 0, [][]byte{setElement(a, counter)}, true},
		{"limited", 0, [][]byte{setElement(a, limit)}, false},
		{"two expressions", 0, [][]byte{setElement(a, appendAttr(nil, nftaSetElemExpressions, append(
			appendAttr(nil, unix.NFTA_LIST_ELEM, appendAttr(nil, unix.NFTA_EXPR_NAME, nulString("counter"))),
			appendAttr(nil, unix.NFTA_LIST_ELEM, appendAttr(nil, unix.NFTA_EXPR_NAME, nulString("quota")))...)))}, false},
		{"interval", unix.NFT_SET_INTERVAL, [][]byte{setElement(b, end), setElement(a)}, true},
		{"end in a set without intervals", 0, [][]byte{setElement(a), setElement(b, end)}, false},
		{"twice the same", 0, [][]byte{setElement(a), setElement(a)}, false},
		{"key of another size", 0, [][]byte{setElement([]byte{10})}, false},
		{"no key", 0, [][]byte{setElement(nil)}, false},
		{"times out", 0, [][]byte{setElement(a, be32(unix.NFTA_SET_ELEM_TIMEOUT, 1))}, false},
		{"unknown attribute", 0, [][]byte{setElement(a, be32(99, 1))}, false},
		{"unknown flag", 0, [][]byte{setElement(a, be32(unix.NFTA_SET_ELEM_FLAGS, 8))}, false},
		{"everything else, twice", 0, [][]byte{setElement(a), setElement(nil, be32(unix.NFTA_SET_ELEM_FLAGS, 2)), setElement(nil, be32(unix.NFTA_SET_ELEM_FLAGS, 2))}, false},
		{"empty", 0, nil, false},
		{"only ends", unix.NFT_SET_INTERVAL, [][]byte{setElement(a, end)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := nftSetDecoder{head: nftSetHead{flags: tt.flags, keyLen: 4}, ok: true}
			for _, e := range tt.elements {
				if err := d.element(e); err != nil {
					t.Fatal(err)
				}
			}
			if s := d.set(); s != nil != tt.ok {
				t.Errorf("set() = %+v; want understood %v", s, tt.ok)
			}
		})
	}
	for _, h := range []nftSetHead{
		{flags: 0, keyLen: 4}, {flags: unix.NFT_SET_ANONYMOUS | unix.NFT_SET_TIMEOUT, keyLen: 4}, {flags: unix.NFT_SET_ANONYMOUS},
		{flags: unix.NFT_SET_ANONYMOUS, keyLen: 65}, {flags: unix.NFT_SET_ANONYMOUS, keyLen: 4, size: maxBounds + 1},
	} {
		if h.readable() {
			t.Errorf("%+v is readable; want it left alone", h)
		}
	}
}

func FuzzNFTSet(f *testing.F) {
	message := func(elements ...[]byte) []byte {
		var list []byte
		for _, e := range elements {
			list = append(list, appendAttr(nil, unix.NFTA_LIST_ELEM, e)...)
		}
		return appendAttr(nfgenmsg(unix.NFPROTO_IPV4), unix.NFTA_SET_ELEM_LIST_ELEMENTS, list)
	}
	lookup := func(load []byte, dreg ...[]byte) []byte {
		attrs := append([][]byte{be32(unix.NFTA_LOOKUP_SREG, 1), appendAttr(nil, unix.NFTA_LOOKUP_SET, nulString("__set0"))}, dreg...)
		return rule(load, expression("lookup", attrs...), expression("immediate", be32(1, 1), value(2, 1)))
	}
	verdict := appendAttr(nil, unix.NFTA_SET_ELEM_DATA, appendAttr(nil, unix.NFTA_DATA_VERDICT, be32(unix.NFTA_VERDICT_CODE, 1)))
	end, rest := be32(unix.NFTA_SET_ELEM_FLAGS, 1), be32(unix.NFTA_SET_ELEM_FLAGS, 2)
	source := expression("payload", be32(1, 1), be32(2, 1), be32(3, 12), be32(4, 4))
	f.Add(uint32(unix.NFT_SET_INTERVAL), uint32(4), message(setElement([]byte{0, 0, 0, 0}, end), setElement([]byte{10, 0, 0, 1}), setElement([]byte{10, 0, 0, 9}, end)),
		lookup(source))
	f.Add(uint32(unix.NFT_SET_MAP), uint32(4), message(setElement([]byte{2, 0, 0, 0}, verdict), setElement(nil, rest, verdict)),
		lookup(expression("ct", be32(1, 1), be32(2, 0)), be32(unix.NFTA_LOOKUP_DREG, 0)))
	f.Add(uint32(0), uint32(16), message(setElement([]byte("cni0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))),
		lookup(expression("meta", be32(1, 1), be32(2, unix.NFT_META_IIFNAME)), be32(unix.NFTA_LOOKUP_FLAGS, 1)))
	f.Fuzz(func(t *testing.T, flags, keyLen uint32, elements, attrs []byte) {
		d := nftSetDecoder{head: nftSetHead{flags: flags | unix.NFT_SET_ANONYMOUS, keyLen: keyLen}, ok: true}
		if !d.head.readable() || eachElement(elements, d.element) != nil {
			return
		}
		s := d.set()
		if s != nil && len(s.elements) > maxElements {
			t.Errorf("%d elements; want at most %d", len(s.elements), maxElements)
		}
		for _, family := range []uint8{unix.NFPROTO_INET, unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
			rules, err := decodeNFTSets(family, attrs, func(uint32) string { return "lo" }, func(string) (*nftSet, error) { return s, nil })
			if err == nil && (len(rules) == 0 || len(rules) > maxWays) {
				t.Errorf("%d rules; want 1 to %d", len(rules), maxWays)
			}
		}
	})
}
