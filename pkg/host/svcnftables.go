package host

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// Names in kube-proxy's nftables tables that only its own rules need (nftables/proxier.go).
const (
	nftServicesChain = "services"
	nftMarkChain     = "mark-for-masquerade"
	nftMasqChain     = "masquerading"
	nftRejectChain   = "reject-chain"
	nftFirewallChain = "firewall-check"
)

// svcNFTables resolves kube-proxy's nftables table of one family: maps from frontends to chains service-, local- and external-, in those of endpoints a random
// number that is looked up in a map to chains endpoint-.
type svcNFTables struct {
	svcChains
	nf       nfDumper
	counting countingSource
	proto    uint8
	outers   map[string]svcOuter
	timeouts map[string]uint32   // of the sets affinity-, in seconds; nil: none was needed
	sources  map[string]svcOuter // of the chains firewall-
	body     []byte

	drawn           int                // frontends, each likely with a map of its own from random numbers
	uses            map[string]*svcUse // by the base of the names of a Service port's chains; nil where the list of chains was not needed
	likely          *services.Likely   // what the cluster has; nil: nothing is known of it
	likelyEnds      []netip.AddrPort   // of the Service that is read
	likelyName      []byte
	asked           [2][]byte // names of chains
	pooled          svcMapRule
	unnamed         int             // Services that have other endpoints
	maps            *svcMapsReading // nil: nothing is remembered of maps
	lost, lostPorts []string        // links that are missing on the way to the maps
	lostRanges      []string        // and on the way to the source ranges
}

func newSvcNFTables(nf nfDumper, proto uint8, trace bool) *svcNFTables {
	nft := newNFTSource(nf, proto)
	x := &svcNFTables{
		svcChains: newSvcChains(nft, svcFamily(proto), trace, services.TableNFT), nf: nf, counting: countingSource{nftSource: nft}, proto: proto,
		outers: map[string]svcOuter{}, sources: map[string]svcOuter{},
	}
	x.marks, x.endpoints = nftMarkChain, services.NFTPrefixEndpoint
	x.remembers = func(set, chain []byte) bool {
		base, ok := bytes.CutPrefix(set, []byte(services.NFTPrefixAffinity))
		return ok && bytes.Equal(bytes.TrimPrefix(chain, []byte(services.NFTPrefixEndpoint)), base)
	}
	x.takePool = x.poolRule
	return x
}

// svcElement is an element of one of kube-proxy's maps or sets.
type svcElement struct {
	front   svcFront
	verdict svcVerdict
	chain   string
	name    string // of the comment
}

// read resolves everything of the family.
func (x *svcNFTables) read() error {
	x.scope = facts.NodePortScope{Family: x.family}
	front, ports, err := x.services()
	if err != nil {
		return err
	}
	elements, err := x.elements(services.SetNodePortIPs, svcKeyDest)
	if err != nil {
		return err
	}
	for e := range elements.all() {
		if !x.scope.All {
			x.scope.Addresses = append(x.scope.Addresses, e.front.addr)
		}
	}
	firewalled, err := x.firewalls()
	if err != nil {
		return err
	}
	if err := x.fronts(services.MapServiceIPs, svcKeyFront, front, firewalled); err != nil {
		return err
	}
	if err := x.fronts(services.MapServiceNodePorts, svcKeyNodePort, ports, nil); err != nil {
		return err
	}
	if err := x.refused(firewalled); err != nil {
		return err
	}
	return x.whole()
}

// fronts resolves the elements of a map to chains. Without a rule that looks it up nothing comes there.
func (x *svcNFTables) fronts(set string, key svcKey, reached string, firewalled map[svcFront]svcOuter) error {
	elements, err := x.elements(set, key)
	if err != nil {
		return err
	}
	x.room(elements.n)
	x.drawn += elements.n
	if x.maps != nil && len(x.maps.now.whole) == 0 {
		x.maps.now.whole = make(map[uint64]bool, elements.n)
	}
	from := x.link("", "map "+set)
	for e := range elements.all() {
		entry := svcEntry{front: e.front, kind: facts.FrontExternal, chain: e.chain, name: nftName(e.chain)}
		outer := svcOuter{rest: e.chain}
		switch {
		case e.verdict != svcGoto && e.verdict != svcJump:
			entry.unknown = "map " + set + ": an element that is not kube-proxy's"
			entry.kind = ""
		case strings.HasPrefix(e.chain, services.NFTPrefixCluster), strings.HasPrefix(e.chain, services.NFTPrefixLocal):
			entry.kind = facts.FrontCluster
		case strings.HasPrefix(e.chain, services.NFTPrefixExternal):
			if outer, err = x.outer(e.chain); err != nil {
				return err
			}
		default:
			outer = svcOuter{unknown: "it leads to " + e.chain + ", which is not kube-proxy's"}
		}
		if key == svcKeyNodePort {
			entry.kind = facts.FrontNodePort
		}
		if f, ok := firewalled[e.front]; ok {
			outer.sources, outer.unknown, entry.kind = f.sources, firstOf(outer.unknown, f.unknown), facts.FrontLoadBalancer
		}
		link := from
		if x.trace {
			link = slices.Concat(from, outer.trace)
		}
		if reached != "" {
			outer.unknown = firstOf(outer.unknown, reached)
		}
		if err := x.ways(&entry, &outer, link, x.pool); err != nil {
			return err
		}
	}
	return nil
}

func (x *svcNFTables) outer(chain string) (svcOuter, error) {
	if o, ok := x.outers[chain]; ok {
		return o, nil
	}
	o, err := x.external(chain)
	if err == nil {
		o.trace = x.link(chain, "")
		x.outers[chain] = o
	}
	return o, err
}

// nftName is the name of a Service's port by that of its chain: "service-ULMVA6XW-ns1/svc1/tcp/p80" is "ns1/svc1:p80"; empty where it is no such name.
func nftName(chain string) string {
	_, rest, _ := strings.Cut(chain, "-")
	_, rest, _ = strings.Cut(rest, "-")
	service, _, port, ok := services.SplitNFT(rest)
	if !ok {
		return ""
	}
	return services.PortName(service, port)
}

// elements reads a map or set; an absent one has none.
func (x *svcNFTables) elements(set string, key svcKey) (*svcChunks[svcElement], error) {
	out := &svcChunks[svcElement]{}
	return out, x.eachElement(set, func(e []byte) { out.add(x.element(e, key)) })
}

// eachElement gives the attributes of each element of a set to fn.
func (x *svcNFTables) eachElement(set string, fn func(e []byte)) error {
	x.body = append(x.body[:0], x.proto, unix.NFNETLINK_V0, 0, 0)
	x.body = appendName(x.body, unix.NFTA_SET_ELEM_LIST_TABLE, services.TableNFT)
	x.body = appendName(x.body, unix.NFTA_SET_ELEM_LIST_SET, set)
	err := x.nf.dump(nftMsg(unix.NFT_MSG_GETSETELEM), x.body, func(m nlMsg) error {
		if m.Type != nftMsg(unix.NFT_MSG_NEWSETELEM) || len(m.Body) < nfgenmsgLen || m.Body[0] != x.proto {
			return nil
		}
		mine := true
		list := []byte(nil)
		a := nlAttrs{rest: m.Body[nfgenmsgLen:]}
		for a.next() {
			switch a.typ {
			case unix.NFTA_SET_ELEM_LIST_TABLE:
				mine = mine && string(trimNul(a.v)) == services.TableNFT
			case unix.NFTA_SET_ELEM_LIST_SET:
				mine = mine && string(trimNul(a.v)) == set
			case unix.NFTA_SET_ELEM_LIST_ELEMENTS:
				list = a.v
			}
		}
		elements := nlAttrs{rest: list}
		for mine && elements.next() {
			fn(elements.v)
		}
		if a.cut || elements.cut {
			return errCut
		}
		return nil
	})
	return noEntry(err)
}

// element decodes one element. A key that is not as kube-proxy's is gives no frontend, which is left out later.
func (x *svcNFTables) element(b []byte, key svcKey) (e svcElement) {
	var k []byte
	for a := (nlAttrs{rest: b}); a.next(); {
		switch a.typ {
		case unix.NFTA_SET_ELEM_KEY:
			k = dataBytes(a.v)
		case unix.NFTA_SET_ELEM_DATA:
			v, chain, ok := svcDataVerdict(a.v)
			if ok {
				e.verdict, e.chain = v, string(chain)
			}
		case unix.NFTA_SET_ELEM_USERDATA:
			e.name = svcName(userCommentBytes(a.v))
		}
	}
	size := 4
	if x.proto == unix.NFPROTO_IPV6 {
		size = 16
	}
	// Each part of a key is filled up to four bytes.
	if key != svcKeyNodePort {
		if len(k) < size {
			return e
		}
		e.front.addr, _ = netip.AddrFromSlice(k[:size])
		k = k[size:]
	}
	if key != svcKeyDest && len(k) == 8 {
		e.front.proto, e.front.port = k[0], binary.BigEndian.Uint16(k[4:])
	}
	return e
}
