package host

import (
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// Attributes of GRE links (linux/if_tunnel.h), which x/sys does not have.
const (
	iflaGRELink            = 1
	iflaGREOKey            = 5
	iflaGRELocal           = 6
	iflaGRERemote          = 7
	iflaGREPMTUDisc        = 10
	iflaGRECollectMetadata = 18
)

// Attributes of IPIP, SIT and IP6TNL links (linux/if_tunnel.h).
const (
	iflaIPTunLink            = 1
	iflaIPTunLocal           = 2
	iflaIPTunRemote          = 3
	iflaIPTunPMTUDisc        = 10
	iflaIPTunCollectMetadata = 19
)

// parseTunnel reads IFLA_INFO_DATA of a tunnel and gives the index of the link under it where the kernel tells; nil for a kind that is no tunnel.
func parseTunnel(kind string, data []byte) (t *facts.Tunnel, lower int, err error) {
	t = &facts.Tunnel{}
	switch kind {
	case "vxlan":
		lower, err = parseVXLAN(t, data)
	case "geneve":
		err = parseGeneve(t, data)
	case "ipip", "sit", "ip6tnl":
		lower, err = parseIPTunnel(t, data)
	case "gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan":
		lower, err = parseGRE(t, data)
	case "wireguard": // its attributes are in a family of their own, for root only
	default:
		return nil, 0, nil
	}
	return t, lower, err
}

func parseVXLAN(t *facts.Tunnel, data []byte) (lower int, err error) {
	err = eachAttr(data, func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_VXLAN_ID:
			t.ID = attrUint32(v)
		case unix.IFLA_VXLAN_LOCAL, unix.IFLA_VXLAN_LOCAL6:
			t.Local = specified(attrAddr(v))
		case unix.IFLA_VXLAN_GROUP, unix.IFLA_VXLAN_GROUP6:
			t.Remote = specified(attrAddr(v))
		case unix.IFLA_VXLAN_LINK:
			lower = int(attrUint32(v))
		case unix.IFLA_VXLAN_PORT:
			t.Port = attrBE16(v)
		case unix.IFLA_VXLAN_UDP_CSUM:
			t.UDPCsum = new(attrUint8(v) != 0)
		case unix.IFLA_VXLAN_UDP_ZERO_CSUM6_TX:
			t.CSum6Tx = new(attrUint8(v) == 0)
		case unix.IFLA_VXLAN_COLLECT_METADATA:
			t.Collect = attrUint8(v) != 0
		case unix.IFLA_VXLAN_LEARNING:
			t.Learn = attrUint8(v) != 0
		case unix.IFLA_VXLAN_DF:
			t.DF = dfName(attrUint8(v))
		}
	})
	return lower, err
}

// parseGeneve reads a geneve link. The kernel tells of the two checksum switches only the one of the remote's family, and none when it is driven by
// flow metadata.
func parseGeneve(t *facts.Tunnel, data []byte) error {
	return eachAttr(data, func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_GENEVE_ID:
			t.ID = attrUint32(v)
		case unix.IFLA_GENEVE_REMOTE, unix.IFLA_GENEVE_REMOTE6:
			t.Remote = specified(attrAddr(v))
		case unix.IFLA_GENEVE_PORT:
			t.Port = attrBE16(v)
		case unix.IFLA_GENEVE_UDP_CSUM:
			t.UDPCsum = new(attrUint8(v) != 0)
		case unix.IFLA_GENEVE_UDP_ZERO_CSUM6_TX:
			t.CSum6Tx = new(attrUint8(v) == 0)
		case unix.IFLA_GENEVE_COLLECT_METADATA: // a flag without a value
			t.Collect = true
		case unix.IFLA_GENEVE_DF:
			t.DF = dfName(attrUint8(v))
		}
	})
}

func parseIPTunnel(t *facts.Tunnel, data []byte) (lower int, err error) {
	err = eachAttr(data, func(typ uint16, v []byte) {
		switch typ {
		case iflaIPTunLink:
			lower = int(attrUint32(v))
		case iflaIPTunLocal:
			t.Local = specified(attrAddr(v))
		case iflaIPTunRemote:
			t.Remote = specified(attrAddr(v))
		case iflaIPTunPMTUDisc:
			t.DF = pmtuName(attrUint8(v))
		case iflaIPTunCollectMetadata:
			t.Collect = true
		}
	})
	return lower, err
}

func parseGRE(t *facts.Tunnel, data []byte) (lower int, err error) {
	err = eachAttr(data, func(typ uint16, v []byte) {
		switch typ {
		case iflaGRELink:
			lower = int(attrUint32(v))
		case iflaGREOKey:
			t.ID = attrBE32(v)
		case iflaGRELocal:
			t.Local = specified(attrAddr(v))
		case iflaGRERemote:
			t.Remote = specified(attrAddr(v))
		case iflaGREPMTUDisc:
			t.DF = pmtuName(attrUint8(v))
		case iflaGRECollectMetadata:
			t.Collect = true
		}
	})
	return lower, err
}

// dfName names enum ifla_vxlan_df, which geneve shares.
func dfName(v uint8) string {
	switch v {
	case 0:
		return "unset"
	case 1:
		return "set"
	case 2:
		return "inherit"
	}
	return ""
}

// pmtuName says what "pmtudisc" and "nopmtudisc" do to the outer header (ip_tunnel_xmit): the bit is set, or taken from the inner packet.
func pmtuName(v uint8) string {
	if v != 0 {
		return "set"
	}
	return "inherit"
}
