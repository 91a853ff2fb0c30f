package host

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// pool reads a chain service- or local-.
func (x *svcNFTables) pool(chain string) (*svcPool, error) {
	if i, ok := x.pools[chain]; ok {
		return &x.list[i], nil
	}
	p := svcPool{trace: x.link(chain, "")}
	x.picks, x.names = x.picks[:0], x.names[:0]
	random, modulus := "", uint32(0)
	err := x.src.rules(x.table, chain, func(r *svcRule) error {
		if random == "" && r.verdict != svcNone {
			random, modulus = x.pick(&p, chain, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if random != "" && p.unknown == "" && len(x.picks) == 0 {
		if counted, err := x.counted(&p, chain, modulus); err != nil || counted {
			return x.keep(chain, p), err
		}
	}
	whole := false
	if random != "" {
		if whole, err = x.draw(random, modulus); err != nil {
			return nil, err
		}
	}
	if err := x.ends(&p, chain); err != nil {
		return nil, err
	}
	if !whole && p.unknown == "" {
		p.broken = append(p.broken, chain)
	}
	return x.keep(chain, p), nil
}

// pick takes one rule of the chain; the last one names the map in which a random number is looked up.
func (x *svcNFTables) pick(p *svcPool, chain string, r *svcRule) (random string, modulus uint32) {
	plain := !r.src.set() && !r.dst.set() && r.proto == 0 && !r.hasPort && r.only(matchSet) && r.recent == 0
	switch {
	case r.unknown != "":
		p.unknown = chain + ": " + r.unknown
	case r.jumps() && string(r.target) == x.marks:
		x.poolMasq(p, chain, r)
	case plain && r.jumps() && r.setKey == svcKeySource && !r.setNegated && x.remembers(string(r.set), string(r.target)):
		x.choose(r.target, svcPick{sticky: true, seconds: x.timeouts[string(r.set)]})
	case plain && r.setVerdict && r.setKey == svcKeyRandom:
		return string(r.set), r.modulus
	default:
		p.unknown = chain + ": a rule that is not kube-proxy's"
	}
	return "", 0
}

// draw reads a map from random numbers to endpoints' chains, and says whether each number has one.
func (x *svcNFTables) draw(set string, modulus uint32) (whole bool, err error) {
	seen := uint32(0)
	err = x.eachElement(set, func(e []byte) {
		var key, chain []byte
		leads := false
		for a := (nlAttrs{rest: e}); a.next(); {
			switch a.typ {
			case unix.NFTA_SET_ELEM_KEY:
				key = dataBytes(a.v)
			case unix.NFTA_SET_ELEM_DATA:
				var v svcVerdict
				v, chain, leads = svcDataVerdict(a.v)
				leads = leads && (v == svcJump || v == svcGoto)
			}
		}
		if leads && len(key) == 4 && binary.NativeEndian.Uint32(key) < modulus {
			seen++
			x.choose(chain, svcPick{share: 1 / float64(modulus)})
		}
	})
	return modulus > 0 && seen == modulus, err
}

// maxDrawn is how many maps from random numbers are read one by one. The kernel looks each up in the list of all, so that of ten thousand each costs more than
// all rules of its Service; of more than these, those that can be told without are.
const maxDrawn = 512

// svcUse is what the list of chains tells of one Service's port.
type svcUse struct {
	endpoints []string // the names of its endpoints' chains, as far as something refers to them or they have rules
	uses      []uint32 // of each: its rules and the references to it
	local     bool     // it also has a chain local-
}

// counted tells where a chain service- leads by the endpoints' chains that there are for it, and says whether that is certain enough: the map behind the
// random number has a place for each, nothing but one place of some map refers to each, and no other chain of the Service could. The map itself, which
// cannot be changed while the rule is there, is then not read. What this does not see are two Services that have exchanged as many endpoints for each
// other's, which takes new rules for both and which kube-proxy never writes.
func (x *svcNFTables) counted(p *svcPool, chain string, modulus uint32) (bool, error) {
	base, ok := strings.CutPrefix(chain, services.NFTPrefixCluster)
	use := x.uses[svcBase(base)]
	if !ok || use == nil || use.local || modulus == 0 || uint64(len(use.endpoints)) != uint64(modulus) {
		return false, nil
	}
	q := *p
	for _, name := range use.endpoints {
		x.choose([]byte(name), svcPick{share: 1 / float64(modulus)})
	}
	if err := x.ends(&q, chain); err != nil {
		return false, err
	}
	for i, rules := range x.ruled {
		if use.uses[i] != rules+1 {
			x.picks, x.names = x.picks[:0], x.names[:0]
			return false, nil
		}
	}
	*p = q
	return true, nil
}

// svcBase is the part of a chain's name that tells the Service's port, behind the hash and in front of the endpoint.
func svcBase(name string) string {
	_, base, _ := strings.Cut(name, "-")
	base, _, _ = strings.Cut(base, "__")
	return base
}

// readUses reads the list of chains where there are too many maps to read them all.
func (x *svcNFTables) readUses() error {
	x.uses = map[string]*svcUse{}
	body := appendName([]byte{x.proto, unix.NFNETLINK_V0, 0, 0}, unix.NFTA_CHAIN_TABLE, services.TableNFT)
	err := x.nf.dump(nftMsg(unix.NFT_MSG_GETCHAIN), body, func(m nlMsg) error {
		if m.Type != nftMsg(unix.NFT_MSG_NEWCHAIN) || len(m.Body) < nfgenmsgLen || m.Body[0] != x.proto {
			return nil
		}
		var a nftChainAttrs
		if err := nfAttrs(m.Body, a.take); err != nil || string(a.table) != services.TableNFT {
			return err
		}
		name := string(a.name)
		rest, endpoint := strings.CutPrefix(name, services.NFTPrefixEndpoint)
		local := false
		if !endpoint {
			rest, local = strings.CutPrefix(name, services.NFTPrefixLocal)
		}
		if !endpoint && !local || endpoint && a.use == 0 {
			return nil
		}
		base := svcBase(rest)
		u := x.uses[base]
		if u == nil {
			u = &svcUse{}
			x.uses[base] = u
		}
		u.local = u.local || local
		if endpoint {
			u.endpoints, u.uses = append(u.endpoints, name), append(u.uses, a.use)
		}
		return nil
	})
	return noEntry(err)
}

// readSets reads the times of the sets that remember clients, and says whether node ports have a set of addresses.
func (x *svcNFTables) readSets() (scoped bool, err error) {
	body := appendName([]byte{x.proto, unix.NFNETLINK_V0, 0, 0}, unix.NFTA_SET_TABLE, services.TableNFT)
	err = x.nf.dump(nftMsg(unix.NFT_MSG_GETSET), body, func(m nlMsg) error {
		if m.Type != nftMsg(unix.NFT_MSG_NEWSET) || len(m.Body) < nfgenmsgLen || m.Body[0] != x.proto {
			return nil
		}
		var table, name []byte
		timeout := uint64(0)
		a := nlAttrs{rest: m.Body[nfgenmsgLen:]}
		for a.next() {
			switch a.typ {
			case unix.NFTA_SET_TABLE:
				table = trimNul(a.v)
			case unix.NFTA_SET_NAME:
				name = trimNul(a.v)
			case unix.NFTA_SET_TIMEOUT:
				timeout = attrBE64(a.v) // milliseconds
			}
		}
		if a.cut {
			return errCut
		}
		if string(table) != services.TableNFT {
			return nil
		}
		scoped = scoped || string(name) == services.SetNodePortIPs
		if strings.HasPrefix(string(name), "__map") {
			x.drawn++
		}
		if strings.HasPrefix(string(name), services.NFTPrefixAffinity) {
			x.timeouts[string(name)] = uint32(min(timeout/1000, 1<<31))
		}
		return nil
	})
	return scoped, noEntry(err)
}

// firewalls reads which frontends have source ranges, and those.
func (x *svcNFTables) firewalls() (map[svcFront]svcOuter, error) {
	elements, err := x.elements(services.MapFirewallIPs, svcKeyFront)
	if err != nil || len(elements) == 0 {
		return nil, err
	}
	out := make(map[svcFront]svcOuter, len(elements))
	for i := range elements {
		o, err := x.ranges(elements[i].chain)
		if err != nil {
			return nil, err
		}
		out[elements[i].front] = o
	}
	return out, nil
}

// ranges reads a chain firewall-: a rule that drops what does not come from a set of sources.
func (x *svcNFTables) ranges(chain string) (o svcOuter, err error) {
	if o, ok := x.sources[chain]; ok {
		return o, nil
	}
	set := ""
	err = x.src.rules(x.table, chain, func(r *svcRule) error {
		switch {
		case r.verdict == svcNone:
		case r.unknown == "" && set == "" && r.verdict == svcDrop && r.setKey == svcKeySource && r.setNegated && !r.dst.set() && r.proto == 0 && !r.src.set() && r.only(matchSet):
			set = string(r.set)
		case r.unknown == "" && set == "" && o.sources == nil && r.verdict == svcDrop && r.src.set() && r.src.negated && !r.dst.set() && r.proto == 0 && r.only(0):
			o.sources = []netip.Prefix{r.src.prefix} // nft writes a set of one address without a set
		default:
			o.unknown = chain + ": " + firstOf(r.unknown, "a rule that is not kube-proxy's")
		}
		return nil
	})
	if err == nil && set != "" {
		o.sources, err = x.prefixes(set)
		if o.sources == nil {
			o.unknown = firstOf(o.unknown, chain+": a set that is not kube-proxy's")
		}
	}
	if err == nil {
		x.sources[chain] = o
	}
	return o, err
}

// prefixes reads a set of ranges of addresses: each starts with an element and ends before one that is marked so. nil where a range is no prefix.
func (x *svcNFTables) prefixes(set string) ([]netip.Prefix, error) {
	d := nftSetDecoder{head: nftSetHead{flags: unix.NFT_SET_INTERVAL, keyLen: 4}, ok: true}
	if x.proto == unix.NFPROTO_IPV6 {
		d.head.keyLen = 16
	}
	var cut error
	err := x.eachElement(set, func(e []byte) {
		if err := d.element(e); err != nil {
			cut = err
		}
	})
	if err == nil {
		err = cut
	}
	if err != nil {
		return nil, err
	}
	s := d.set()
	if s == nil {
		return nil, nil
	}
	var out []netip.Prefix
	for _, e := range s.elements {
		list := rangePrefixes(e.from, e.to)
		if list == nil {
			return nil, nil
		}
		out = append(out, list...)
	}
	return sortPrefixes(out), nil
}

// refused reads the frontends without endpoints. Those of cluster IPs are told from others by the set of those.
func (x *svcNFTables) refused(firewalled map[svcFront]svcOuter) error {
	for _, m := range [...]struct {
		set string
		key svcKey
	}{{services.MapNoEndpoints, svcKeyFront}, {services.MapNoEndpointPorts, svcKeyNodePort}} {
		elements, err := x.elements(m.set, m.key)
		if err != nil {
			return err
		}
		if len(elements) == 0 {
			continue
		}
		missing, err := x.refusals(m.set, m.key)
		if err != nil {
			return err
		}
		cluster := map[netip.Addr]bool{}
		if m.key == svcKeyFront {
			list, err := x.elements(services.SetClusterIPs, svcKeyDest)
			if err != nil {
				return err
			}
			for _, e := range list {
				cluster[e.front.addr] = true
			}
		}
		list := make([]svcRefusal, 0, len(elements))
		for _, e := range elements {
			r := svcRefusal{svcEntry: svcEntry{front: e.front, name: e.name, kind: facts.FrontExternal}, link: "map " + m.set, missing: missing}
			switch {
			case m.key == svcKeyNodePort:
				r.kind = facts.FrontNodePort
			case cluster[e.front.addr]:
				r.kind = facts.FrontCluster
			}
			if f, ok := firewalled[e.front]; ok {
				r.kind, r.sources = facts.FrontLoadBalancer, f.sources
			}
			switch {
			case e.verdict == svcDrop:
				r.verdict = facts.VerdictDrop
			case e.chain == nftRejectChain:
				r.verdict = facts.VerdictReject
			default:
				r.unknown = "map " + m.set + ": an element that is not kube-proxy's"
			}
			list = append(list, r)
		}
		x.refuseAll(list)
	}
	return nil
}

func (x *svcNFTables) refusals(set string, key svcKey) ([]string, error) {
	chain, bases := "service-endpoints-check", []string{"filter-input", "filter-forward", "filter-output"}
	if key == svcKeyNodePort {
		chain, bases = "nodeport-endpoints-check", []string{"filter-input"}
	}
	var missing []string
	for _, base := range bases {
		if leads, err := x.some(base, func(r *svcRule) bool { return r.jumps() && string(r.target) == chain && r.unknown == "" }); err != nil {
			return nil, err
		} else if !leads {
			missing = append(missing, base+" to "+chain)
		}
	}
	looks, err := x.some(chain, func(r *svcRule) bool {
		return r.unknown == "" && (r.setVerdict && r.setKey == key && string(r.set) == set || string(r.ports) == set)
	})
	if err == nil && !looks {
		missing = append(missing, chain+" to map "+set)
	}
	return missing, err
}
