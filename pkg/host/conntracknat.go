package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// maxNATFlows bounds the translated flows that are kept: one proves the fault, a few show where the packets go.
const maxNATFlows = 64

// Of linux/netfilter/nfnetlink_conntrack.h and nf_conntrack_common.h, which x/sys lacks.
const (
	ctGet = 1 // IPCTNL_MSG_CT_GET

	ctaTupleOrig  = 1
	ctaTupleReply = 2
	ctaStatus     = 3
	ctaFilter     = 25 // Linux 5.8
	ctaStatusMask = 26 // Linux 5.15

	ctaTupleIP    = 1
	ctaTupleProto = 2

	ctaProtoNum     = 1
	ctaProtoSrcPort = 2
	ctaProtoDstPort = 3

	ctaFilterOrig  = 1
	ctaFilterReply = 2

	ctaFilterFlagProto = 1 << 3 // CTA_FILTER_F_CTA_PROTO_NUM

	ipsSrcNAT = 1 << 4 // IPS_SRC_NAT
)

// TunnelNAT lists the UDP flows to one of the ports whose source was translated (IPS_SRC_NAT) and whose reply goes elsewhere than the original came
// from, at most 64. It must be called inside Do. A kernel without connection tracking gives ErrAbsent; one whose ctnetlink module is not loaded
// cannot be asked without loading it, which is an error. It needs CAP_NET_ADMIN.
func (n *NS) TunnelNAT(ports []uint16) ([]facts.NATFlow, error) {
	if _, err := os.Stat(n.procSys("net/netfilter/nf_conntrack_count")); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read translated tunnel flows: %w", ErrAbsent)
	}
	if n.unloaded("netfilter/nf_conntrack_netlink") {
		return nil, errors.New("read translated tunnel flows: the kernel's nf_conntrack_netlink is not loaded, and reading loads nothing")
	}
	c, err := n.netlink(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("read translated tunnel flows: %w", err)
	}
	defer c.close()
	flows, err := whole(func() ([]facts.NATFlow, error) {
		var all []facts.NATFlow
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			flows, err := c.tunnelNAT(family, ports)
			if err != nil {
				return nil, err
			}
			all = append(all, flows...)
		}
		return all[:min(len(all), maxNATFlows)], nil
	})
	if errors.Is(err, unix.EINVAL) { // no ctnetlink in the kernel
		err = fmt.Errorf("%w: %w", err, ErrAbsent)
	}
	if err != nil {
		return nil, fmt.Errorf("read translated tunnel flows: %w", err)
	}
	return flows, nil
}

// tunnelNAT walks one family, because the kernel refuses to filter both at once. It is asked for translated UDP flows only; one that does not know the
// filters lists everything.
func (c *nlConn) tunnelNAT(family uint8, ports []uint16) ([]facts.NATFlow, error) {
	var flows []facts.NATFlow
	collect := func(m nlMsg) error {
		f, ok, err := parseNATFlow(m.Body, ports)
		if err == nil && ok && len(flows) < maxNATFlows {
			flows = append(flows, f)
		}
		return err
	}
	typ := uint16(unix.NFNL_SUBSYS_CTNETLINK)<<8 | ctGet
	err := c.dump(typ, ctFilter(family), collect)
	// A kernel between the two filters' versions may refuse their combination.
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		flows = nil
		err = c.dump(typ, nfgenmsg(family), collect)
	}
	return flows, err
}

// ctFilter asks for flows that are UDP and whose source is translated.
func ctFilter(family uint8) []byte {
	proto := appendAttr(nil, unix.NLA_F_NESTED|ctaTupleProto, appendAttr(nil, ctaProtoNum, []byte{unix.IPPROTO_UDP}))
	flags := appendAttr(nil, ctaFilterOrig, binary.NativeEndian.AppendUint32(nil, ctaFilterFlagProto))
	flags = appendAttr(flags, ctaFilterReply, binary.NativeEndian.AppendUint32(nil, 0))
	bit := binary.BigEndian.AppendUint32(nil, ipsSrcNAT)
	b := nfgenmsg(family)
	b = appendAttr(b, unix.NLA_F_NESTED|ctaTupleOrig, proto)
	b = appendAttr(b, ctaStatus, bit)
	b = appendAttr(b, ctaStatusMask, bit)
	return appendAttr(b, unix.NLA_F_NESTED|ctaFilter, flags)
}

// ctTuple is one direction of a flow.
type ctTuple struct {
	src, dst netip.AddrPort
	proto    uint8
}

// parseNATFlow decodes one entry and says whether it is one that is looked for.
func parseNATFlow(body []byte, ports []uint16) (flow facts.NATFlow, ok bool, err error) {
	var orig, reply ctTuple
	var status uint32
	var inner [2]error
	err = nfAttrs(body, func(typ uint16, v []byte) {
		switch typ {
		case ctaTupleOrig:
			inner[0] = orig.parse(v)
		case ctaTupleReply:
			inner[1] = reply.parse(v)
		case ctaStatus:
			status = attrBE32(v)
		}
	})
	if err := errors.Join(err, inner[0], inner[1]); err != nil {
		return flow, false, fmt.Errorf("connection tracking entry: %w", err)
	}
	flow = facts.NATFlow{Src: orig.src, Dst: orig.dst, ReplyDst: reply.dst}
	ok = orig.proto == unix.IPPROTO_UDP && status&ipsSrcNAT != 0 && slices.Contains(ports, orig.dst.Port()) &&
		orig.src.IsValid() && orig.dst.IsValid() && reply.dst.IsValid() && reply.dst != orig.src
	return flow, ok, nil
}

func (t *ctTuple) parse(b []byte) error {
	var src, dst netip.Addr
	var ports [2]uint16
	var inner [2]error
	err := eachAttr(b, func(typ uint16, v []byte) {
		switch typ {
		case ctaTupleIP:
			// CTA_IP_V4_SRC, V4_DST, V6_SRC, V6_DST are 1 to 4.
			inner[0] = eachAttr(v, func(typ uint16, v []byte) {
				switch typ {
				case 1, 3:
					src = attrAddr(v)
				case 2, 4:
					dst = attrAddr(v)
				}
			})
		case ctaTupleProto:
			inner[1] = eachAttr(v, func(typ uint16, v []byte) {
				switch typ {
				case ctaProtoNum:
					t.proto = attrUint8(v)
				case ctaProtoSrcPort:
					ports[0] = attrBE16(v)
				case ctaProtoDstPort:
					ports[1] = attrBE16(v)
				}
			})
		}
	})
	t.src, t.dst = netip.AddrPortFrom(src, ports[0]), netip.AddrPortFrom(dst, ports[1])
	return errors.Join(err, inner[0], inner[1])
}
