package services

import (
	"net/netip"
	"slices"
)

// sameRanges says whether two lists of ranges hold the same addresses. nft joins ranges that touch each other or overlap before they come to the kernel.
func sameRanges(a, b []netip.Prefix) bool {
	return slices.Equal(a, b) || slices.Equal(joinRanges(a), joinRanges(b))
}

// joinRanges gives the least prefixes that hold the same addresses, in their order.
func joinRanges(list []netip.Prefix) []netip.Prefix {
	list = sorted(slices.Clone(list))
	var out []netip.Prefix
	for _, p := range list {
		if n := len(out); n > 0 && out[n-1].Bits() <= p.Bits() && out[n-1].Contains(p.Addr()) {
			continue
		}
		out = append(out, p)
		// Two halves of a prefix are that prefix, which may be the half of another.
		for n := len(out); n > 1; n = len(out) {
			low, high := out[n-2], out[n-1]
			if low.Bits() != high.Bits() || low.Bits() == 0 || low.Addr().BitLen() != high.Addr().BitLen() {
				break
			}
			whole := netip.PrefixFrom(low.Addr(), low.Bits()-1).Masked()
			if whole.Addr() != low.Addr() || !whole.Contains(high.Addr()) {
				break
			}
			out = append(out[:n-2], whole)
		}
	}
	return out
}
