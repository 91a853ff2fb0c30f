package host

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// iflaInetConf is IFLA_INET_CONF of linux/if_link.h, which x/sys does not have.
const iflaInetConf = 1

// Settings are the IPv4 settings of a link. The zero value is that of a link that IPv4 does not use.
type Settings struct{ conf []byte }

// The settings that can be asked for. Each is one less than its IPV4_DEVCONF constant of linux/ip.h, whose numbers never change.
const (
	Forwarding = 0
	ProxyARP   = 2
)

// Value is what the sysctl of the setting shows below net/ipv4/conf; false where the link has none.
func (s Settings) Value(setting int) (string, bool) {
	if len(s.conf) < 4*(setting+1) {
		return "", false
	}
	return strconv.Itoa(int(int32(attrUint32(s.conf[4*setting:])))), true
}

// parseSettings reads IFLA_AF_SPEC of one RTM_NEWLINK message: by address family, for IPv4 an array of all settings (inet_fill_link_af).
func parseSettings(b []byte) (s Settings, err error) {
	_, tail, err := split(b, unix.SizeofIfInfomsg)
	if err != nil {
		return s, err
	}
	var nested error
	each := func(b []byte, typ uint16, fn func([]byte)) {
		nested = firstError(nested, eachAttr(b, func(t uint16, v []byte) {
			if t == typ {
				fn(v)
			}
		}))
	}
	each(tail, unix.IFLA_AF_SPEC, func(v []byte) {
		each(v, unix.AF_INET, func(v []byte) {
			each(v, iflaInetConf, func(v []byte) { s.conf = append([]byte(nil), v...) })
		})
	})
	return s, nested
}

// The messages of linux/netconf.h, which x/sys does not have.
const (
	netconfIfIndex    = 1
	netconfForwarding = 2
	netconfAll        = -1
)

// Forwards is the value of net.ipv4.ip_forward, and of net.ipv6.conf.all.forwarding, as their sysctls show it; false where the kernel has no such family. The files of
// proc below a namespace's net are found by a walk along all namespaces, a message is not. It must be called inside Do.
func (n *NS) Forwards(v4 bool) (value string, has bool, err error) {
	l, err := n.route()
	if err != nil {
		return "", false, err
	}
	all := int32(netconfAll)
	req := appendAttr(familyHeader(addressFamily(v4), align4(unix.SizeofRtGenmsg)), netconfIfIndex, binary.NativeEndian.AppendUint32(nil, uint32(all)))
	err = l.request(unix.RTM_GETNETCONF, 0, req, func(m nlMsg) error {
		_, tail, err := split(m.Body, align4(unix.SizeofRtGenmsg))
		if err != nil {
			return err
		}
		return eachAttr(tail, func(typ uint16, v []byte) {
			if typ == netconfForwarding {
				value, has = strconv.Itoa(int(int32(attrUint32(v)))), true
			}
		})
	})
	if noFamily(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read forwarding: %w", err)
	}
	return value, has, nil
}
