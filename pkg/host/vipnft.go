package host

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// kubeProxyTable is the name of kube-proxy's nftables tables, and the maps of it that say which Services it carries.
const (
	kubeProxyTable = "kube-proxy"
	serviceIPsMap  = "service-ips"
	noEndpointsMap = "no-endpoint-services"
)

// netfilter opens the socket at first use; nil where there is no nf_tables.
func (v *vipReader) netfilter() (*nlConn, error) {
	if v.nf != nil || v.noNFT {
		return v.nf, nil
	}
	if v.ns.unloaded("netfilter/nf_tables") {
		v.noNFT = true
		return nil, nil
	}
	c, err := v.ns.netlink(unix.NETLINK_NETFILTER)
	if err == nil {
		v.nf = c
		if _, err = nftGeneration(c); err == nil {
			return c, nil
		}
	}
	if errors.Is(err, ErrAbsent) {
		v.noNFT = true
		v.close()
		v.nf = nil
		return nil, nil
	}
	return nil, err
}

// nftHas asks for one object; an absent one is ENOENT.
func (v *vipReader) nftHas(msg uint16, family string, attrs []byte) (bool, error) {
	c, err := v.netfilter()
	if err != nil || c == nil {
		return false, err
	}
	body := append(nfgenmsg(nftProto(family)), attrs...)
	err = c.request(nftMsg(msg), 0, body, func(nlMsg) error { return nil })
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

func nftProto(family string) uint8 {
	if family == "ip6" {
		return unix.NFPROTO_IPV6
	}
	return unix.NFPROTO_IPV4
}

func (v *vipReader) nftTable(family, table string) (bool, error) {
	return v.nftHas(unix.NFT_MSG_GETTABLE, family, appendAttr(nil, unix.NFTA_TABLE_NAME, nulString(table)))
}

func (v *vipReader) nftChain(family, table, chain string) (bool, error) {
	attrs := appendAttr(nil, unix.NFTA_CHAIN_TABLE, nulString(table))
	return v.nftHas(unix.NFT_MSG_GETCHAIN, family, appendAttr(attrs, unix.NFTA_CHAIN_NAME, nulString(chain)))
}

// nftElement asks for one element of a map of kube-proxy's, whose key is address . protocol . port.
func (v *vipReader) nftElement(family, set string, key []byte) (bool, error) {
	elem := appendAttr(nil, unix.NLA_F_NESTED|unix.NFTA_SET_ELEM_KEY, appendAttr(nil, unix.NFTA_DATA_VALUE, key))
	list := appendAttr(nil, unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, elem)
	attrs := appendAttr(nil, unix.NFTA_SET_ELEM_LIST_TABLE, nulString(kubeProxyTable))
	attrs = appendAttr(attrs, unix.NFTA_SET_ELEM_LIST_SET, nulString(set))
	return v.nftHas(unix.NFT_MSG_GETSETELEM, family, appendAttr(attrs, unix.NLA_F_NESTED|unix.NFTA_SET_ELEM_LIST_ELEMENTS, list))
}

// serviceKey is a key of kube-proxy's maps: each part is filled up to four bytes.
func serviceKey(s facts.ServiceIntent) []byte {
	key := s.VIP.Unmap().AsSlice()
	key = append(key, protoNumber(s.Protocol), 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(key, s.Port), 0, 0)
}

func protoNumber(name string) uint8 {
	switch name {
	case "tcp":
		return unix.IPPROTO_TCP
	case "udp":
		return unix.IPPROTO_UDP
	case "sctp":
		return unix.IPPROTO_SCTP
	}
	return 0
}

// lookNFTables looks for the address in kube-proxy's maps, or for an element that leads to the chain of the name where the address is not known or only presumed.
func (v *vipReader) lookNFTables(s facts.ServiceIntent) (found facts.ServiceVIP, err error) {
	for _, family := range families(s) {
		if s.VIP.IsValid() {
			found, err = v.nftByAddress(family, s)
		}
		if err == nil && !found.Found && (!s.VIP.IsValid() || presumed(s)) {
			found, err = v.nftByName(family, s)
		}
		if err != nil || found.Found {
			return found, err
		}
	}
	return found, nil
}

func (v *vipReader) nftByAddress(family string, s facts.ServiceIntent) (found facts.ServiceVIP, err error) {
	key := fmt.Sprintf("%s . %s . %d", s.VIP.Unmap(), s.Protocol, s.Port)
	for _, set := range [...]string{serviceIPsMap, noEndpointsMap} {
		if found.Found, err = v.nftElement(family, set, serviceKey(s)); err != nil || found.Found {
			found.NoEndpoints = set == noEndpointsMap
			found.Detail = fmt.Sprintf("element %s of nft map %s %s %s", key, family, kubeProxyTable, set)
			return found, err
		}
	}
	found.Detail = fmt.Sprintf("no element %s in nft map %s %s %s", key, family, kubeProxyTable, serviceIPsMap)
	return found, nil
}

func (v *vipReader) nftByName(family string, s facts.ServiceIntent) (found facts.ServiceVIP, err error) {
	base := services.NFTPort(s.Name, s.Protocol)
	if base == "" {
		return found, fmt.Errorf("%q is not namespace/name:port", s.Name)
	}
	// The chain itself proves nothing: it carries no packet unless an element of the map leads to it.
	for _, prefix := range [...]string{services.NFTPrefixCluster, services.NFTPrefixLocal} {
		if found.Found, err = v.nftLeads(family, prefix, base); err != nil || found.Found {
			found.Detail = fmt.Sprintf("element of nft map %s %s %s that leads to chain %s", family, kubeProxyTable, serviceIPsMap, prefix+base)
			return found, err
		}
	}
	// A Service without endpoints has no chain, but an element with its name as comment.
	if found.Found, err = v.nftCommented(family, noEndpointsMap, s.Name); err != nil || found.Found {
		found.NoEndpoints = true
		found.Detail = fmt.Sprintf("element with comment %s of nft map %s %s %s", s.Name, family, kubeProxyTable, noEndpointsMap)
		return found, err
	}
	found.Detail = fmt.Sprintf("no element of nft map %s %s %s leads to chain service-%s", family, kubeProxyTable, serviceIPsMap, base)
	return found, nil
}

// nftCommented looks for an element of a map with a comment.
func (v *vipReader) nftCommented(family, set, comment string) (bool, error) {
	return v.nftWalk(family, set, func(typ uint16, v []byte) bool {
		return typ == unix.NFTA_SET_ELEM_USERDATA && userComment(v) == comment
	})
}

// nftLeads looks for an element of the map of Services that jumps or goes to a chain.
func (v *vipReader) nftLeads(family, prefix, base string) (bool, error) {
	if v.brief {
		return v.nftLeadsBriefly(family, prefix, base)
	}
	chain := prefix + base
	exists, err := v.nftChain(family, kubeProxyTable, chain)
	if err != nil || !exists {
		return false, err
	}
	return v.nftWalk(family, serviceIPsMap, func(typ uint16, v []byte) bool {
		return typ == unix.NFTA_SET_ELEM_DATA && verdictChain(v) == chain
	})
}

// verdictChain is the chain that an element's data leads to; empty for other data.
func verdictChain(data []byte) (chain string) {
	err := eachAttr(data, func(typ uint16, v []byte) {
		if typ == unix.NFTA_DATA_VERDICT {
			_, chain, _ = nftVerdict(v)
		}
	})
	if err != nil {
		return ""
	}
	return chain
}

// nftWalk says whether an attribute of an element of a map is what match wants. An absent map has none.
func (v *vipReader) nftWalk(family, set string, match func(typ uint16, v []byte) bool) (bool, error) {
	c, err := v.netfilter()
	if err != nil || c == nil {
		return false, err
	}
	body := appendAttr(nfgenmsg(nftProto(family)), unix.NFTA_SET_ELEM_LIST_TABLE, nulString(kubeProxyTable))
	body = appendAttr(body, unix.NFTA_SET_ELEM_LIST_SET, nulString(set))
	return whole(func() (found bool, err error) {
		err = c.dump(nftMsg(unix.NFT_MSG_GETSETELEM), body, func(m nlMsg) error {
			return eachElement(m.Body, func(e []byte) error {
				return eachAttr(e, func(typ uint16, v []byte) { found = found || match(typ, v) })
			})
		})
		if errors.Is(err, unix.ENOENT) {
			return false, nil
		}
		return found, err
	})
}

// eachElement gives the attributes of each element in a message about a set.
func eachElement(body []byte, fn func(e []byte) error) error {
	var inner error
	err := nfAttrs(body, func(typ uint16, v []byte) {
		if typ != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			return
		}
		if err := eachAttr(v, func(_ uint16, e []byte) {
			if err := fn(e); err != nil {
				inner = err
			}
		}); err != nil {
			inner = err
		}
	})
	return errors.Join(err, inner)
}
