package redact

import (
	"net/netip"
	"slices"
)

// ranges are the address ranges out of and into which no replacement goes: first those that stay as they are, then those within which addresses are drawn.
var (
	keptRanges  = prefixList("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/127", "ff00::/8")
	drawnRanges = prefixList("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "::ffff:0:0/96", "64:ff9b::/96", "fc00::/8", "fd00::/8", "fe80::/64")
	rangePaths  = properPrefixes(slices.Concat(keptRanges, drawnRanges))
	// caliHost is the link-local address of ee:ee:ee:ee:ee:ee, which calico gives every host side of a pod's link.
	caliHost = netip.MustParseAddr("fe80::ecee:eeff:feee:eeee")
)

func prefixList(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// properPrefixes is the set of all shorter prefixes of some prefixes.
func properPrefixes(list []netip.Prefix) map[netip.Prefix]bool {
	out := map[netip.Prefix]bool{}
	for _, p := range list {
		for bits := range p.Bits() {
			out[netip.PrefixFrom(p.Addr(), bits).Masked()] = true
		}
	}
	return out
}

func keptAddr(a netip.Addr) bool {
	return a == caliHost || slices.ContainsFunc(keptRanges, func(p netip.Prefix) bool { return p.Contains(a) })
}

// knownSubnet makes the first addresses of a subnet keep their host part: no bit is flipped as long as all host bits before it are zero. Of a subnet that
// holds a whole range, such as 10.0.0.0/8, they would keep the whole address.
func (r *redactor) knownSubnet(p netip.Prefix) {
	length := p.Addr().BitLen()
	p = p.Masked()
	if p.Bits() == 0 || p.Bits() > length-2 || r.zeros[p] {
		return
	}
	for _, drawn := range drawnRanges {
		if p.Contains(drawn.Addr()) && p.Bits() <= drawn.Bits() {
			return
		}
	}
	for bits := p.Bits(); bits < length; bits++ {
		r.zeros[netip.PrefixFrom(p.Addr(), bits)] = true
	}
}

// addr replaces an address: each bit is flipped or not by what the bits before it are, so common prefixes stay as long as they were (the way of
// Crypto-PAn, Xu and others, 2002).
func (r *redactor) addr(p *netip.Addr) {
	a := *p
	if !a.IsValid() {
		return
	}
	zone := a.Zone()
	a = a.WithZone("")
	if a.Is4In6() {
		inner := a.Unmap()
		r.addr(&inner)
		a = netip.AddrFrom16(inner.As16())
	} else {
		a = r.drawAddr(a)
	}
	if zone != "" {
		r.link(&zone)
		a = a.WithZone(zone)
	}
	*p = a
}

func (r *redactor) drawAddr(a netip.Addr) netip.Addr {
	if keptAddr(a) {
		return a
	}
	if drawn, ok := r.addrs[a]; ok {
		return drawn
	}
	family, bits := "4", a.AsSlice()
	if a.Is6() {
		family = "6"
	}
	for i := range a.BitLen() {
		p := netip.PrefixFrom(a, i).Masked()
		if rangePaths[p] || r.zeros[p] {
			continue
		}
		text, _ := p.MarshalBinary() // it cannot fail
		bits[i/8] ^= r.draw("addr", family, string(text))[0] & 1 << (7 - i%8)
	}
	drawn, _ := netip.AddrFromSlice(bits)
	r.addrs[a] = drawn
	return drawn
}

// prefix replaces a prefix. One without host bits stays without.
func (r *redactor) prefix(p *netip.Prefix) {
	if !p.IsValid() {
		return
	}
	r.knownSubnet(*p)
	a := p.Addr()
	r.addr(&a)
	drawn := netip.PrefixFrom(a, p.Bits())
	if *p == p.Masked() {
		drawn = drawn.Masked()
	}
	*p = drawn
}

func (r *redactor) addrPort(p *netip.AddrPort) {
	a := p.Addr()
	r.addr(&a)
	*p = netip.AddrPortFrom(a, p.Port())
}
