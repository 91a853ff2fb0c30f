package checks

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// answer is whether a rule matches a class of packets: none of them, some or not known, or all.
type answer int

const (
	no answer = iota
	maybe
	yes
)

func (a answer) not() answer { return yes - a }

// packet is a class of packets, as far as it is known. The zero value of a field means that it may be anything.
type packet struct {
	v6       bool
	in, out  []string // the links, one of which it comes and leaves by
	src, dst addrRange
	proto    string // tcp or udp
	state    string // NEW or ESTABLISHED; the destination was never translated
	mark     uint32
	markMask uint32 // the bits of mark that are known
}

// addrRange is the addresses of one prefix that are not in another.
type addrRange struct {
	within, without netip.Prefix
}

// match says whether the rule matches the packets; marked says that a rule before may have changed the mark.
func (p packet) match(r *facts.FilterRule, marked bool) answer {
	m := yes
	if r.Opaque {
		m = maybe
	}
	for _, a := range []answer{
		matchLink(r.InLink, p.in), matchLink(r.OutLink, p.out), p.src.match(r.Src, p.v6), p.dst.match(r.Dst, p.v6),
		p.matchProto(r.Proto), p.matchPort(r.DPort), p.matchMark(r.Mark, marked), p.matchState(r.CTState), p.matchStatus(r.CTStatus),
	} {
		m = min(m, a)
	}
	return m
}

// negated cuts the ! of a negated match.
func negated(pattern string) (rest string, not bool) {
	rest, not = strings.CutPrefix(pattern, "!")
	return strings.TrimSpace(rest), not
}

func matchLink(pattern string, links []string) answer {
	if pattern == "" {
		return yes
	}
	want, not := negated(pattern)
	m := maybe
	if len(links) > 0 {
		all, none := true, true
		for _, l := range links {
			ok := linkMatches(want, l)
			all, none = all && ok, none && !ok
		}
		switch {
		case all:
			m = yes
		case none:
			m = no
		}
	}
	if not {
		return m.not()
	}
	return m
}

// linkMatches compares as iptables does, where a + at the end stands for any rest, and nft, which writes it as *.
func linkMatches(pattern, link string) bool {
	if rest, ok := strings.CutSuffix(pattern, "+"); ok {
		return strings.HasPrefix(link, rest)
	}
	if rest, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(link, rest)
	}
	return pattern == link
}

// match says whether the range's addresses are in the prefix, or not in it where it is negated. Of the other IP version they are neither.
func (a addrRange) match(pattern string, v6 bool) answer {
	if pattern == "" {
		return yes
	}
	want, not := negated(pattern)
	prefix, err := netip.ParsePrefix(want)
	if err != nil {
		addr, err := netip.ParseAddr(want)
		if err != nil {
			return maybe
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	switch {
	case prefix.Addr().Is6() != v6:
		return no
	case not:
		return a.in(prefix).not()
	}
	return a.in(prefix)
}

func (a addrRange) in(prefix netip.Prefix) answer {
	switch {
	case prefix.Bits() == 0:
		return yes
	case a.without.IsValid() && covers(a.without, prefix):
		return no
	case !a.within.IsValid():
		return maybe
	case covers(prefix, a.within):
		return yes
	case !prefix.Overlaps(a.within):
		return no
	}
	return maybe
}

// covers says whether every address of inner is one of outer.
func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Masked().Contains(inner.Addr())
}

func (p packet) matchProto(pattern string) answer {
	want, not := negated(strings.ToLower(pattern))
	if want == "" || want == "all" {
		return yes
	}
	m := no
	if p.proto == "" {
		m = maybe
	} else if want == p.proto || want == map[string]string{"tcp": "6", "udp": "17"}[p.proto] {
		m = yes
	}
	if not {
		return m.not()
	}
	return m
}

func (p packet) matchPort(pattern string) answer {
	if pattern == "" {
		return yes
	}
	return maybe
}

// matchMark reads value/mask, as iptables writes it.
func (p packet) matchMark(pattern string, marked bool) answer {
	if pattern == "" {
		return yes
	}
	text, not := negated(pattern)
	value, mask, both := strings.Cut(text, "/")
	v, err := strconv.ParseUint(value, 0, 32)
	k := uint64(^uint32(0))
	if err == nil && both {
		k, err = strconv.ParseUint(mask, 0, 32)
	}
	if err != nil || marked {
		return maybe
	}
	m := maybe
	switch known := uint32(k) & p.markMask; {
	case p.mark&known != uint32(v)&known:
		m = no
	case uint32(k)&^p.markMask == 0:
		m = yes
	}
	if not {
		return m.not()
	}
	return m
}

func (p packet) matchState(states []string) answer {
	switch {
	case len(states) == 0:
		return yes
	case p.state == "":
		return maybe
	case slices.ContainsFunc(states, func(s string) bool { return strings.EqualFold(s, p.state) }):
		return yes
	}
	return no
}

// matchStatus knows that the packets are not for a Service; whether masquerading changed their source, or both directions were seen, it does not.
func (p packet) matchStatus(status []string) answer {
	if len(status) == 0 {
		return yes
	}
	for _, s := range status {
		if !strings.EqualFold(s, "dnat") {
			return maybe
		}
	}
	return no
}
