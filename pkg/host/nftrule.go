package host

import (
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// The verdicts of facts.FilterRule.
const (
	verdictAccept     = "accept"
	verdictDrop       = "drop"
	verdictReject     = "reject"
	verdictReturn     = "return"
	verdictJump       = "jump"
	verdictGoto       = "goto"
	verdictMasquerade = "masquerade"
	verdictSNAT       = "snat"
	verdictDNAT       = "dnat"
	verdictMark       = "mark"
	verdictNotrack    = "notrack"
)

// natRandomFully is NF_NAT_RANGE_PROTO_RANDOM_FULLY of linux/netfilter/nf_nat.h.
const natRandomFully = 1 << 4

// ruleBuilder gathers what is understood of a rule. Everything that is not makes the rule opaque.
type ruleBuilder struct {
	facts.FilterRule
	family uint8 // NFPROTO_IPV4, NFPROTO_IPV6 or NFPROTO_INET
}

// opaque says that the rule has something that is not understood.
func (b *ruleBuilder) opaque() { b.Opaque = true }

// match sets one of the rule's matches. A second match of the same kind narrows the first in a way that the facts cannot say. So does a match
// behind a mark that is set: the mark then also meets packets that the rule as a whole does not match.
func (b *ruleBuilder) match(field *string, value string, inverted bool) {
	if *field != "" || value == "" || b.SetMark != "" {
		b.opaque()
		return
	}
	if inverted {
		value = "!" + value
	}
	*field = value
}

func (b *ruleBuilder) states(names []string) {
	if b.CTState != nil || len(names) == 0 || b.SetMark != "" {
		b.opaque()
		return
	}
	b.CTState = names
}

// verdict sets what the rule does. What stands behind a final verdict is never reached.
func (b *ruleBuilder) verdict(v, target string) {
	if b.Verdict == "" || b.Verdict == verdictMark {
		b.Verdict, b.Target = v, target
	}
}

// nftRule is a rule as it is without sets, and the attributes that it was read from, which are valid only until the function that got it returns.
type nftRule struct {
	facts.FilterRule
	attrs []byte
	sets  bool // it looks up anonymous sets that may make it clearer
}

// decodeNFTRule decodes a rule from its attributes. The error is of a message that is cut short; a rule that is not understood is Opaque, and so is
// one that looks up a set.
func decodeNFTRule(family uint8, attrs []byte, ifname func(uint32) string) (nftRule, error) {
	d := nftDecoder{ruleBuilder: ruleBuilder{family: family}, ifname: ifname}
	err := d.decode(attrs)
	return nftRule{FilterRule: d.FilterRule, attrs: attrs, sets: d.pick.wanted}, err
}

// decode takes all of a rule.
func (d *nftDecoder) decode(attrs []byte) error {
	var inner error
	err := eachAttr(attrs, func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_RULE_EXPRESSIONS:
			if err := eachAttr(v, d.element); err != nil {
				inner = err
			}
		case unix.NFTA_RULE_USERDATA:
			if c := userComment(v); c != "" {
				d.Comment = c
			}
		}
	})
	if err == nil {
		err = inner
	}
	d.finish()
	return err
}

// userComment finds the comment in a rule's or element's user data: type, length and value, each type and length one byte (libnftnl's udata.h,
// NFTNL_UDATA_RULE_COMMENT and NFTNL_UDATA_SET_ELEM_COMMENT are both 0).
func userComment(v []byte) string {
	for len(v) >= 2 {
		size := int(v[1])
		if size > len(v)-2 {
			return ""
		}
		if v[0] == 0 {
			return attrString(v[2 : 2+size])
		}
		v = v[2+size:]
	}
	return ""
}

// nftDecoder walks a rule's expressions in their order.
type nftDecoder struct {
	ruleBuilder
	ifname func(uint32) string
	regs   [unix.NFT_REG_4 + 1]nftRegister
	proto  uint8   // NFPROTO that the rule has asked for; 0: none
	low    *uint16 // of a port range whose upper bound has not come yet
	pick   nftPick
}

// element takes one expression: its name and its attributes.
func (d *nftDecoder) element(typ uint16, v []byte) {
	if typ != unix.NFTA_LIST_ELEM {
		d.opaque()
		return
	}
	var name, data []byte
	if eachAttr(v, func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_EXPR_NAME:
			name = trimNul(v)
		case unix.NFTA_EXPR_DATA:
			data = v
		}
	}) != nil {
		d.opaque()
		return
	}
	var a nftAttrs
	if eachAttr(data, a.take) != nil {
		d.opaque()
		return
	}
	d.expression(string(name), &a)
}

// nftAttrs are an expression's attributes by their type; all types in use are small.
type nftAttrs [16][]byte

func (a *nftAttrs) take(typ uint16, v []byte) {
	if int(typ) < len(a) {
		a[typ] = v
	}
}

func (d *nftDecoder) expression(name string, a *nftAttrs) {
	if d.pick.settled {
		return
	}
	switch name {
	case "meta":
		d.meta(a)
	case "payload":
		d.payload(a)
	case "ct":
		d.ct(a)
	case "bitwise":
		d.bitwise(a)
	case "cmp":
		d.compare(a)
	case "range":
		d.inRange(a)
	case "immediate":
		d.immediate(a)
	case "lookup":
		d.lookup(a)
	case "counter":
		if len(a[unix.NFTA_COUNTER_PACKETS]) >= 8 {
			p := attrBE64(a[unix.NFTA_COUNTER_PACKETS])
			d.Packets = &p
		}
	case "log":
	case "notrack":
		d.verdict(verdictNotrack, "")
	case "reject":
		d.verdict(verdictReject, "")
	case "masq":
		d.verdict(verdictMasquerade, "")
		d.RandomFully = attrBE32(a[unix.NFTA_MASQ_FLAGS])&natRandomFully != 0
	case "redir":
		d.verdict(verdictDNAT, "REDIRECT")
	case "nat":
		d.nat(a)
	case "match":
		d.xtMatch(string(trimNul(a[unix.NFTA_MATCH_NAME])), attrBE32(a[unix.NFTA_MATCH_REV]), a[unix.NFTA_MATCH_INFO])
	case "target":
		d.xtTarget(string(trimNul(a[unix.NFTA_TARGET_NAME])), attrBE32(a[unix.NFTA_TARGET_REV]), a[unix.NFTA_TARGET_INFO])
	default:
		// A load that is not known (fib, rt, numgen, hash, ...) makes the comparison behind it opaque, and so does a match without one (limit). No
		// register may be taken for what it held before.
		d.opaque()
		clear(d.regs[:])
	}
}

func (d *nftDecoder) nat(a *nftAttrs) {
	d.RandomFully = attrBE32(a[unix.NFTA_NAT_FLAGS])&natRandomFully != 0
	// Translation to addresses of one family lets packets of the other go on (nft_nat_inet_eval).
	if f := attrBE32(a[unix.NFTA_NAT_FAMILY]); d.proto == 0 && (f == unix.NFPROTO_IPV4 || f == unix.NFPROTO_IPV6) {
		d.proto = uint8(f)
	}
	switch attrBE32(a[unix.NFTA_NAT_TYPE]) {
	case unix.NFT_NAT_SNAT:
		d.verdict(verdictSNAT, "")
	case unix.NFT_NAT_DNAT:
		d.verdict(verdictDNAT, "")
	default:
		d.opaque()
	}
}

// immediate is a verdict, or a value for a later expression.
func (d *nftDecoder) immediate(a *nftAttrs) {
	var value, verdict []byte
	if eachAttr(a[unix.NFTA_IMMEDIATE_DATA], func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_DATA_VALUE:
			value = v
		case unix.NFTA_DATA_VERDICT:
			verdict = v
		}
	}) != nil {
		d.opaque()
		return
	}
	if attrBE32(a[unix.NFTA_IMMEDIATE_DREG]) != unix.NFT_REG_VERDICT {
		d.load(a[unix.NFTA_IMMEDIATE_DREG], nftRegister{key: keyValue, value: value})
		return
	}
	v, target, ok := nftVerdict(verdict)
	if !ok {
		d.opaque()
		return
	}
	d.verdict(v, target)
}

// nftVerdict decodes a nested verdict (NFTA_VERDICT_*); an empty one is "continue". Queueing and what is not known are not ok.
func nftVerdict(b []byte) (verdict, target string, ok bool) {
	code, seen := int32(0), false
	err := eachAttr(b, func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_VERDICT_CODE:
			code, seen = int32(attrBE32(v)), len(v) >= 4
		case unix.NFTA_VERDICT_CHAIN:
			target = attrString(v)
		}
	})
	if err != nil || !seen {
		return "", "", false
	}
	switch code {
	case 0:
		return verdictDrop, "", true
	case 1:
		return verdictAccept, "", true
	case unix.NFT_CONTINUE:
		return "", "", true
	case unix.NFT_JUMP:
		return verdictJump, target, target != ""
	case unix.NFT_GOTO:
		return verdictGoto, target, target != ""
	case unix.NFT_RETURN:
		return verdictReturn, "", true
	}
	return "", "", false
}
