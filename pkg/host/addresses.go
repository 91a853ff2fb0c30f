package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// ifaProto is IFA_PROTO of linux/if_addr.h (5.18 and later), which x/sys does not have.
const ifaProto = 11

// Addresses lists the namespace's IPv4 and IPv6 addresses. It must be called inside Do.
func (n *NS) Addresses() ([]facts.Address, error) {
	all, err := list(n, unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg), parseAddress)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	return all, nil
}

// parseAddress reads one RTM_NEWADDR message. Addresses of other families are left out.
func parseAddress(b []byte) (facts.Address, bool, error) {
	head, tail, err := split(b, unix.SizeofIfAddrmsg)
	if err != nil {
		return facts.Address{}, false, fmt.Errorf("address: %w", err)
	}
	family, bits, scope := head[0], int(head[1]), head[3]
	if !anyAddr(family).IsValid() {
		return facts.Address{}, false, nil
	}
	a := facts.Address{
		Link: int(binary.NativeEndian.Uint32(head[4:])), Scope: scopeName(scope), Valid: facts.Forever, Preferred: facts.Forever,
	}
	flags := uint32(head[2])
	var local, addr netip.Addr
	err = eachAttr(tail, func(typ uint16, v []byte) {
		switch typ {
		case unix.IFA_LOCAL:
			local = attrAddr(v)
		case unix.IFA_ADDRESS:
			addr = attrAddr(v)
		case unix.IFA_LABEL:
			a.Label = attrString(v)
		case unix.IFA_FLAGS: // all 32 bits of what the head has 8 of
			flags = attrUint32(v)
		case unix.IFA_CACHEINFO:
			if len(v) >= 8 {
				a.Preferred, a.Valid = attrUint32(v), attrUint32(v[4:])
			}
		case ifaProto:
			a.Protocol = addressProtocol(attrUint8(v))
		}
	})
	if err != nil {
		return facts.Address{}, false, fmt.Errorf("address: %w", err)
	}
	// IFA_LOCAL is the address itself and IFA_ADDRESS the peer's where both are given and differ; IPv6 gives IFA_ADDRESS alone where there is no peer.
	if !local.IsValid() {
		local = addr
	}
	a.Prefix = prefixOf(local, bits)
	if addr.IsValid() && addr != local {
		a.Peer = prefixOf(addr, bits)
	}
	a.Permanent = flags&unix.IFA_F_PERMANENT != 0
	a.Secondary = flags&unix.IFA_F_SECONDARY != 0
	a.Tentative = flags&unix.IFA_F_TENTATIVE != 0
	a.DADFailed = flags&unix.IFA_F_DADFAILED != 0
	a.NoDAD = flags&unix.IFA_F_NODAD != 0
	return a, a.Prefix.IsValid(), nil
}

// addressProtocol names who set an address (IFAPROT_*).
func addressProtocol(p uint8) string {
	switch p {
	case 0:
		return ""
	case 1:
		return "kernel_lo"
	case 2:
		return "kernel_ra"
	case 3:
		return "kernel_ll"
	}
	return strconv.Itoa(int(p))
}

// scopeName names rtm_scope and ifa_scope as iproute2 does.
func scopeName(s byte) string {
	switch s {
	case unix.RT_SCOPE_UNIVERSE:
		return "global"
	case unix.RT_SCOPE_SITE:
		return "site"
	case unix.RT_SCOPE_LINK:
		return "link"
	case unix.RT_SCOPE_HOST:
		return "host"
	case unix.RT_SCOPE_NOWHERE:
		return "nowhere"
	}
	return strconv.Itoa(int(s))
}
