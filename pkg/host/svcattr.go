package host

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// nlAttrs walks netlink attributes without a function call for each, which tens of thousands of rules make worth it.
type nlAttrs struct {
	rest []byte
	typ  uint16
	v    []byte
	cut  bool // an attribute did not fit: what stands behind it is lost
}

// next goes to the next attribute; its type is without the nesting and byte order bits.
func (a *nlAttrs) next() bool {
	if len(a.rest) < unix.SizeofNlAttr {
		return false
	}
	size := int(binary.NativeEndian.Uint16(a.rest))
	if size < unix.SizeofNlAttr || size > len(a.rest) {
		a.cut = true
		return false
	}
	a.typ, a.v = binary.NativeEndian.Uint16(a.rest[2:])&nlaTypeMask, a.rest[unix.SizeofNlAttr:size]
	a.rest = a.rest[min(align4(size), len(a.rest)):]
	return true
}

// attrOf gives the first attribute of a type; nil where there is none.
func attrOf(b []byte, typ uint16) []byte {
	for a := (nlAttrs{rest: b}); a.next(); {
		if a.typ == typ {
			return a.v
		}
	}
	return nil
}
