package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// sizeofRuleHdr is the size of struct fib_rule_hdr.
const sizeofRuleHdr = 12

// Rules lists the policy routing rules of both families in the kernel's order. It must be called inside Do.
func (n *NS) Rules() ([]facts.Rule, error) {
	all, err := listFamilies(n, unix.RTM_GETRULE, sizeofRuleHdr, parseRule)
	if err != nil {
		return nil, fmt.Errorf("list routing rules: %w", err)
	}
	return all, nil
}

// parseRule reads one RTM_NEWRULE message.
func parseRule(b []byte) (facts.Rule, bool, error) {
	head, tail, err := split(b, sizeofRuleHdr)
	if err != nil {
		return facts.Rule{}, false, fmt.Errorf("routing rule: %w", err)
	}
	family, dstBits, srcBits := head[0], int(head[1]), int(head[2])
	src, dst := anyAddr(family), anyAddr(family)
	if !src.IsValid() {
		return facts.Rule{}, false, nil
	}
	r := facts.Rule{
		Family: 4, Table: int(head[4]), Action: ruleAction(head[7]), Opaque: head[3] != 0, // a TOS
		Invert: binary.NativeEndian.Uint32(head[8:])&unix.FIB_RULE_INVERT != 0,
	}
	if family == unix.AF_INET6 {
		r.Family = 6
	}
	err = eachAttr(tail, func(typ uint16, v []byte) {
		switch typ {
		case unix.FRA_PRIORITY:
			r.Priority = int(attrUint32(v))
		case unix.FRA_SRC:
			src = attrAddr(v)
		case unix.FRA_DST:
			dst = attrAddr(v)
		case unix.FRA_FWMARK:
			r.Mark = attrUint32(v)
		case unix.FRA_FWMASK:
			r.Mask = attrUint32(v)
		case unix.FRA_IIFNAME:
			r.InLink = attrString(v)
		case unix.FRA_OIFNAME:
			r.OutLink = attrString(v)
		case unix.FRA_TABLE:
			r.Table = int(attrUint32(v))
		case unix.FRA_SUPPRESS_PREFIXLEN, unix.FRA_SUPPRESS_IFGROUP: // -1 says that nothing is suppressed
			r.Opaque = r.Opaque || int32(attrUint32(v)) != -1
		case unix.FRA_L3MDEV:
			r.Opaque = r.Opaque || attrUint8(v) != 0
		case unix.FRA_FLOW, unix.FRA_PROTOCOL, unix.FRA_PAD, unix.FRA_GOTO: // do not narrow the rule
		default:
			r.Opaque = true
		}
	})
	if err != nil {
		return facts.Rule{}, false, fmt.Errorf("routing rule: %w", err)
	}
	r.Src, r.Dst = rulePrefix(src, srcBits), rulePrefix(dst, dstBits)
	return r, true, nil
}

// rulePrefix is the prefix that a rule matches; the zero Prefix for any address.
func rulePrefix(a netip.Addr, bits int) netip.Prefix {
	if bits == 0 {
		return netip.Prefix{}
	}
	return prefixOf(a, bits)
}

// ruleAction names what a rule does other than to look up its table.
func ruleAction(a byte) string {
	switch a {
	case unix.FR_ACT_TO_TBL:
		return ""
	case unix.FR_ACT_GOTO:
		return "goto"
	case unix.FR_ACT_NOP:
		return "nop"
	case unix.FR_ACT_BLACKHOLE:
		return "blackhole"
	case unix.FR_ACT_UNREACHABLE:
		return "unreachable"
	case unix.FR_ACT_PROHIBIT:
		return "prohibit"
	}
	return "unknown"
}
