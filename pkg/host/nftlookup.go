package host

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// Bounds of what sets make of rules; a rule beyond them is opaque.
const (
	maxWays = 64  // rules that one rule becomes
	maxMore = 512 // rules that the rules of one chain become beyond their own number
)

// errWays ends the expansion of a rule that stays as it is.
var errWays = errors.New("a rule that cannot be told as several")

// nftSets finds a set of the table that a rule is in; nil where it is not known.
type nftSets func(name string) (*nftSet, error)

// nftPick says by which element of each set a rule is being read. One rule that looks up sets is as many rules without, one for each element, in
// any order: a packet has one key, and is in one element of a set at most.
type nftPick struct {
	find    nftSets
	err     error
	at      []int // the element of each set; the first of those beyond
	of      []int // how many there are
	wanted  bool  // a set was looked up whose key is known
	settled bool  // a map has given the final verdict
	leaving bool  // the rule must end the packet's way through the chain, or a later choice would see it again
}

// choose gives one of n ways on.
func (p *nftPick) choose(n int) int {
	k := len(p.of)
	p.of = append(p.of, n)
	if k == len(p.at) {
		p.at = append(p.at, 0)
	}
	return p.at[k]
}

// next goes on to the next choice; false after the last one.
func (p *nftPick) next() bool {
	for k := len(p.at) - 1; k >= 0; k-- {
		if p.at[k]+1 < p.of[k] {
			p.at = append(p.at[:k], p.at[k]+1)
			return true
		}
	}
	return false
}

// decodeNFTSets decodes a rule that looks up anonymous sets as several rules. The error errWays says that it stays one rule.
func decodeNFTSets(family uint8, attrs []byte, ifname func(uint32) string, find nftSets) ([]facts.FilterRule, error) {
	var rules []facts.FilterRule
	var at []int
	for {
		d := nftDecoder{ruleBuilder: ruleBuilder{family: family}, ifname: ifname, pick: nftPick{find: find, at: at}}
		if err := errors.Join(d.decode(attrs), d.pick.err); err != nil {
			return nil, err
		}
		if len(rules) == maxWays || d.pick.leaving && !leaves(d.Verdict) {
			return nil, errWays
		}
		rules = append(rules, d.FilterRule)
		if !d.pick.next() {
			return rules, nil
		}
		at = d.pick.at
	}
}

// leaves says whether a packet never comes to the rule behind one with this verdict.
func leaves(verdict string) bool {
	switch verdict {
	case "", verdictJump, verdictMark, verdictNotrack:
		return false
	}
	return true
}

// lookup takes an expression that finds the register in a set, or not in it, or takes a map's value or verdict for it.
func (d *nftDecoder) lookup(a *nftAttrs) {
	dreg, flags := a[unix.NFTA_LOOKUP_DREG], attrBE32(a[unix.NFTA_LOOKUP_FLAGS])
	r, s := d.register(a[unix.NFTA_LOOKUP_SREG]), (*nftSet)(nil)
	if r != nil && r.key != keyUnknown && r.key != keyValue && r.mask == nil && !r.part && flags&^unix.NFT_LOOKUP_F_INV == 0 {
		s = d.findSet(string(trimNul(a[unix.NFTA_LOOKUP_SET])))
	}
	if s == nil || s.keyLen != d.keySize(r.key) || !d.matchSet(*r, s, flags != 0, dreg) {
		d.opaque()
		d.load(dreg, nftRegister{})
	}
}

func (d *nftDecoder) findSet(name string) *nftSet {
	if d.pick.find == nil {
		d.pick.wanted = d.pick.wanted || anonymousSet(name)
		return nil
	}
	if d.pick.err != nil {
		return nil
	}
	s, err := d.pick.find(name)
	d.pick.err = err
	return s
}

// keySize is how many bytes of a register make its key; 0 where no set is understood. A concatenation has more bytes than its first part.
func (d *nftDecoder) keySize(key nftKey) int {
	switch key {
	case keyInName, keyOutName:
		return unix.IFNAMSIZ
	case keyInIndex, keyOutIndex, keyMark, keyCTState:
		return 4
	case keyL4Proto, keyNFProto:
		return 1
	case keyDPort:
		return 2
	case keySrc, keyDst:
		if d.addrFamily() == unix.NFPROTO_IPV6 {
			return 16
		}
		return 4
	}
	return 0
}

// nftWay is one element, or a part of it, as a rule can match it.
type nftWay struct {
	element *nftElement
	field   *string // that gets the text
	text    string
}

// matchSet takes the match of one element, and with a map its verdict or value. It is not ok where the elements cannot be told.
func (d *nftDecoder) matchSet(r nftRegister, s *nftSet, inverted bool, dreg []byte) (ok bool) {
	isMap := dreg != nil
	if r.key == keyCTState && !isMap && s.rest == nil {
		return d.stateSet(s, inverted)
	}
	var ways []nftWay
	for i := range s.elements {
		w := d.ways(&r, &s.elements[i])
		if w == nil || len(ways)+len(w) > maxWays {
			return false
		}
		ways = append(ways, w...)
	}
	n := len(ways)
	if s.rest != nil {
		n++
	}
	if inverted && n > 1 || s.rest != nil && !isMap {
		return false
	}
	k := d.pick.choose(n)
	// A mark may be changed by what a rule jumps to, and would then be another element's.
	d.pick.leaving = d.pick.leaving || r.key == keyMark && k < n-1
	e := s.rest
	if k < len(ways) {
		e = ways[k].element
		d.matchWay(&r, ways[k], inverted)
	}
	if s.rest != nil {
		d.matchRest(&r, s, ways, k == len(ways))
	}
	if isMap {
		d.give(e, dreg)
	}
	return true
}

func (d *nftDecoder) matchWay(r *nftRegister, w nftWay, inverted bool) {
	if w.field != nil {
		d.match(w.field, w.text, inverted)
		return
	}
	d.equal(r, w.element.from, inverted)
}

// matchRest takes the match of the keys that are no element's. Where a rule cannot say "none of these", it has to be the last one, which nothing reaches
// that an element has matched.
func (d *nftDecoder) matchRest(r *nftRegister, s *nftSet, ways []nftWay, last bool) {
	switch {
	case r.key == keyCTState:
		if last && !d.stateSet(s, true) {
			d.opaque()
		}
	case len(ways) == 1 && ways[0].field != nil:
		if last {
			d.matchWay(r, ways[0], true)
		}
	default:
		d.pick.leaving = d.pick.leaving || !last
	}
}

// stateSet takes a set of connection states, of which a packet has one.
func (d *nftDecoder) stateSet(s *nftSet, inverted bool) bool {
	var set uint32
	for _, e := range s.elements {
		state := attrUint32(e.from)
		if !bytes.Equal(e.from, e.to) || state&(state-1) != 0 {
			return false
		}
		set |= state
	}
	d.matchState(set, inverted)
	return true
}

// give does what a map gives for an element.
func (d *nftDecoder) give(e *nftElement, dreg []byte) {
	if attrBE32(dreg) != unix.NFT_REG_VERDICT {
		d.load(dreg, nftRegister{key: keyValue, value: e.value})
		return
	}
	d.verdict(e.verdict, e.target)
	d.pick.settled = e.verdict != ""
}

// ways gives the matches that an element is; nil where it cannot be told.
func (d *nftDecoder) ways(r *nftRegister, e *nftElement) (out []nftWay) {
	one := bytes.Equal(e.from, e.to)
	links := func(field *string) {
		if name := linkRange(e.from, e.to); name != "" {
			out = append(out, nftWay{e, field, name})
		}
	}
	addresses := func(field *string) {
		for _, p := range rangePrefixes(e.from, e.to) {
			out = append(out, nftWay{e, field, p.String()})
		}
	}
	switch r.key {
	case keyInName:
		links(&d.InLink)
	case keyOutName:
		links(&d.OutLink)
	case keySrc:
		addresses(&d.Src)
	case keyDst:
		addresses(&d.Dst)
	case keyDPort:
		text := strconv.Itoa(int(attrBE16(e.from)))
		if !one {
			text = fmt.Sprintf("%d:%d", attrBE16(e.from), attrBE16(e.to))
		}
		out = append(out, nftWay{e, &d.DPort, text})
	default:
		if one {
			out = append(out, nftWay{element: e})
		}
	}
	return out
}

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
