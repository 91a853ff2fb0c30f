package host

import (
	"bytes"
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// Bounds of the sets that are read; a rule that refers to another one is opaque.
const (
	maxSets     = 256               // of one namespace
	maxElements = 256               // of one set
	maxBounds   = 2*maxElements + 2 // of one set's elements: an interval has an end, and nft puts one more in front
)

// What x/sys does not name of linux/netfilter/nf_tables.h.
const (
	nftSetConcat           = 0x80
	nftSetElemCatchall     = 2
	nftaSetElemExpressions = 11
	nftMaxKey              = 64 // NFT_DATA_VALUE_MAXLEN

	nftSetKnown     = unix.NFT_SET_ANONYMOUS | unix.NFT_SET_CONSTANT | unix.NFT_SET_INTERVAL | unix.NFT_SET_MAP | nftSetConcat
	nftSetElemKnown = unix.NFT_SET_ELEM_INTERVAL_END | nftSetElemCatchall
)

// nftSet is an anonymous set or map. Such a one belongs to one rule and never changes.
type nftSet struct {
	keyLen   int
	elements []nftElement // that have no key in common, in the order of their keys
	rest     *nftElement  // what a map gives for every other key (NFT_SET_ELEM_CATCHALL); nil: nothing
}

// nftElement is a range of keys, both ends included, and what a map gives for it.
type nftElement struct {
	from, to []byte
	value    []byte
	verdict  string
	target   string
	end      bool // the first key that is not in the interval before
}

// nftSetName is where a set is.
type nftSetName struct {
	family      uint8
	table, name string
}

// anonymousSet tells names that the kernel has given: its users ask for __set%d and __map%d. Named sets change while the rules stay.
func anonymousSet(name string) bool { return len(name) > 2 && name[:2] == "__" }

// set gives an anonymous set; nil where it is none, or is not understood. It must not be called while a list is being read.
func (r *nftReader) set(at nftSetName) (*nftSet, error) {
	if s, ok := r.sets[at]; ok {
		return s, nil
	}
	if !anonymousSet(at.name) || len(r.sets) == maxSets {
		return nil, nil
	}
	s, err := r.c.nftSet(at)
	if errors.Is(err, unix.ENOENT) { // the rules have changed, which the generation will tell
		err = nil
	}
	if err != nil {
		return nil, err
	}
	if r.sets == nil {
		r.sets = map[nftSetName]*nftSet{}
	}
	r.sets[at] = s
	return s, nil
}

// nftSet asks for a set and its elements.
func (c *nlConn) nftSet(at nftSetName) (*nftSet, error) {
	body := appendAttr(nfgenmsg(at.family), unix.NFTA_SET_TABLE, nulString(at.table))
	body = appendAttr(body, unix.NFTA_SET_NAME, nulString(at.name))
	var head nftSetHead
	err := c.request(nftMsg(unix.NFT_MSG_GETSET), 0, body, func(m nlMsg) error { return nfAttrs(m.Body, head.take) })
	if err != nil || !head.readable() {
		return nil, err
	}
	body = appendAttr(nfgenmsg(at.family), unix.NFTA_SET_ELEM_LIST_TABLE, nulString(at.table))
	body = appendAttr(body, unix.NFTA_SET_ELEM_LIST_SET, nulString(at.name))
	d := nftSetDecoder{head: head, ok: true}
	err = c.dump(nftMsg(unix.NFT_MSG_GETSETELEM), body, func(m nlMsg) error { return eachElement(m.Body, d.element) })
	if err != nil {
		return nil, err
	}
	return d.set(), nil
}

// nftSetHead is what a set says of itself.
type nftSetHead struct{ flags, keyLen, size uint32 }

func (h *nftSetHead) take(typ uint16, v []byte) {
	switch typ {
	case unix.NFTA_SET_FLAGS:
		h.flags = attrBE32(v)
	case unix.NFTA_SET_KEY_LEN:
		h.keyLen = attrBE32(v)
	case unix.NFTA_SET_DESC:
		if eachAttr(v, func(typ uint16, v []byte) {
			if typ == unix.NFTA_SET_DESC_SIZE {
				h.size = attrBE32(v)
			}
		}) != nil {
			h.flags = ^uint32(0)
		}
	}
}

// readable says whether the elements are worth asking for. A size of zero is one that was not told.
func (h nftSetHead) readable() bool {
	return h.flags&unix.NFT_SET_ANONYMOUS != 0 && h.flags&^nftSetKnown == 0 && h.keyLen > 0 && h.keyLen <= nftMaxKey && h.size <= maxBounds &&
		h.flags&(unix.NFT_SET_INTERVAL|nftSetConcat) != unix.NFT_SET_INTERVAL|nftSetConcat
}

// nftSetDecoder gathers the elements of one set.
type nftSetDecoder struct {
	head     nftSetHead
	elements []nftElement
	rest     *nftElement
	ok       bool // everything was understood
}

// element takes the attributes of one element. The error is of a message that is cut short.
func (d *nftSetDecoder) element(attrs []byte) error {
	if !d.ok {
		return nil
	}
	var e nftElement
	var flags uint32
	known := true
	err := eachAttr(attrs, func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_SET_ELEM_KEY:
			e.from = bytes.Clone(dataValue(v))
		case unix.NFTA_SET_ELEM_DATA:
			known = known && e.data(v)
		case unix.NFTA_SET_ELEM_FLAGS:
			flags = attrBE32(v)
		case unix.NFTA_SET_ELEM_EXPR:
			known = known && onlyCounter(v)
		case nftaSetElemExpressions:
			known = known && onlyCounters(v)
		case unix.NFTA_SET_ELEM_USERDATA, unix.NFTA_SET_ELEM_PAD:
		default: // a timeout, the end of a concatenated range, a named object
			known = false
		}
	})
	if err != nil {
		return err
	}
	e.to, e.end = e.from, flags&unix.NFT_SET_ELEM_INTERVAL_END != 0
	catchall := flags&nftSetElemCatchall != 0
	switch {
	case !known, flags&^nftSetElemKnown != 0, len(d.elements) == maxBounds, e.end && d.head.flags&unix.NFT_SET_INTERVAL == 0:
		d.ok = false
	case catchall && (d.rest != nil || e.from != nil || e.end), !catchall && len(e.from) != int(d.head.keyLen):
		d.ok = false
	case catchall:
		d.rest = &e
	default:
		d.elements = append(d.elements, e)
	}
	return nil
}

// data takes what a map gives; not ok where that is neither a value nor a verdict that is told.
func (e *nftElement) data(b []byte) (ok bool) {
	err := eachAttr(b, func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_DATA_VALUE:
			e.value, ok = bytes.Clone(v), true
		case unix.NFTA_DATA_VERDICT:
			e.verdict, e.target, ok = nftVerdict(v)
		}
	})
	return ok && err == nil
}

// onlyCounter tells an expression of an element that matches everything. Others (limit, quota, connlimit) do not.
func onlyCounter(b []byte) (ok bool) {
	err := eachAttr(b, func(typ uint16, v []byte) {
		if typ == unix.NFTA_EXPR_NAME {
			ok = string(trimNul(v)) == "counter"
		}
	})
	return ok && err == nil
}

func onlyCounters(b []byte) bool {
	ok := true
	err := eachAttr(b, func(typ uint16, v []byte) { ok = ok && typ == unix.NFTA_LIST_ELEM && onlyCounter(v) })
	return ok && err == nil
}

// set gives the set; nil where it was not understood.
func (d *nftSetDecoder) set() *nftSet {
	slices.SortStableFunc(d.elements, func(a, b nftElement) int {
		if c := bytes.Compare(a.from, b.from); c != 0 || a.end == b.end {
			return c
		}
		if a.end {
			return -1
		}
		return 1
	})
	s := &nftSet{keyLen: int(d.head.keyLen), rest: d.rest}
	for i, e := range d.elements {
		switch {
		case e.end:
			continue
		case i > 0 && !d.elements[i-1].end && bytes.Equal(d.elements[i-1].from, e.from):
			return nil
		case d.head.flags&unix.NFT_SET_INTERVAL != 0:
			e.to = bytes.Repeat([]byte{0xff}, s.keyLen)
			if i+1 < len(d.elements) {
				e.to = before(d.elements[i+1].from)
			}
		}
		s.elements = append(s.elements, e)
	}
	if !d.ok || len(s.elements) == 0 || len(s.elements) > maxElements {
		return nil
	}
	return s
}

// before is the key ahead of one that is not the first.
func before(key []byte) []byte {
	key = bytes.Clone(key)
	for i := len(key) - 1; i >= 0; i-- {
		if key[i]--; key[i] != 0xff {
			break
		}
	}
	return key
}
