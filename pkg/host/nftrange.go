package host

import (
	"bytes"
	"net/netip"
)

// linkRange writes a range of link names as iptables does: one name, or all with the same start.
func linkRange(from, to []byte) string {
	name, rest, ok := bytes.Cut(from, []byte{0})
	switch {
	case !ok || len(name) == 0 || len(bytes.Trim(rest, "\x00")) != 0 || !bytes.HasPrefix(to, name):
		return ""
	case bytes.Equal(from, to):
		return string(name)
	case len(bytes.Trim(to[len(name):], "\xff")) == 0:
		return string(name) + "+"
	}
	return ""
}

// rangePrefixes gives the prefixes that make up a range of addresses; nil where it is none, or they are more than maxWays.
func rangePrefixes(from, to []byte) (out []netip.Prefix) {
	first, ok1 := netip.AddrFromSlice(from)
	last, ok2 := netip.AddrFromSlice(to)
	if !ok1 || !ok2 || first.BitLen() != last.BitLen() {
		return nil
	}
	for first.IsValid() && first.Compare(last) <= 0 {
		p := netip.PrefixFrom(first, first.BitLen())
		for p.Bits() > 0 {
			wider := netip.PrefixFrom(first, p.Bits()-1)
			if wider.Masked().Addr() != first || lastAddr(wider).Compare(last) > 0 {
				break
			}
			p = wider
		}
		if len(out) == maxWays {
			return nil
		}
		out = append(out, p)
		first = lastAddr(p).Next() // not valid behind the last address there is
	}
	return out
}
