package host

import (
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/services"
)

// pool reads a chain service- or local-.
func (x *svcNFTables) pool(chain string) (*svcPool, error) {
	if i, ok := x.pools[chain]; ok {
		return &x.list[i], nil
	}
	x.picks, x.names = x.picks[:0], x.names[:0]
	m := &x.pooled
	*m = svcMapRule{last: true}
	x.poolName = chain
	p := &m.pool
	p.trace = x.link(chain, "")
	var err error
	if m.local, err = x.poolRules(chain); err != nil {
		return nil, err
	}
	if err := x.affinities(); err != nil {
		return nil, err
	}
	countable := m.set != "" && m.last && p.unknown == "" && len(x.picks) == 0
	if countable && x.many() && x.maps.count(m.handle) {
		if told, err := x.told(m, chain); err != nil || told {
			return x.keep(chain, *p), err
		}
	}
	whole := false
	if m.set != "" {
		if whole, err = x.draw(m.set, m.modulus); err != nil {
			return nil, err
		}
	}
	if countable && whole {
		x.drew(m.handle, chain)
	}
	if err := x.ends(p, chain); err != nil {
		return nil, err
	}
	if !whole && p.unknown == "" {
		p.broken = append(p.broken, chain)
	}
	return x.keep(chain, *p), nil
}

// poolRule takes a rule of such a chain.
func (x *svcNFTables) poolRule(r *svcRule) error {
	m := &x.pooled
	switch {
	case m.set != "":
		m.last = false
	case r.verdict != svcNone:
		m.set, m.modulus = x.pick(&m.pool, x.poolName, r)
		m.handle = r.handle
	}
	return nil
}

// svcMapRule is a chain's rule that looks a random number up in a map.
type svcMapRule struct {
	pool    svcPool // where the chain leads
	set     string  // the map's name; empty: there is no such rule
	modulus uint32
	handle  uint64
	local   bool // beside the chain service- there is a chain local-; only known where it matters
	last    bool // nothing stands behind it: kube-proxy writes it last
}

// pick takes one rule of the chain; the last one names the map in which a random number is looked up.
func (x *svcNFTables) pick(p *svcPool, chain string, r *svcRule) (random string, modulus uint32) {
	plain := !r.src.set() && !r.dst.set() && r.proto == 0 && !r.hasPort && r.only(matchSet) && r.recent == 0
	switch {
	case r.unknown != "":
		p.unknown = chain + ": " + r.unknown
	case r.jumps() && string(r.target) == x.marks:
		x.poolMasq(p, chain, r)
	case plain && r.jumps() && r.setKey == svcKeySource && !r.setNegated && x.remembers(r.set, r.target):
		x.choose(r.target, svcPick{sticky: true})
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

// affinities gives the picks that remember clients the times of their sets. The list of all sets, which is longer than that of Services, is read when the first
// Service has such.
func (x *svcNFTables) affinities() error {
	for i, pick := range x.picks {
		if !pick.sticky {
			continue
		}
		if x.timeouts == nil {
			if err := x.readTimeouts(); err != nil {
				return err
			}
		}
		name := strings.TrimPrefix(string(x.names[pick.from:pick.to]), services.NFTPrefixEndpoint) // see remembers
		x.picks[i].seconds = x.timeouts[services.NFTPrefixAffinity+name]
	}
	return nil
}

// readTimeouts reads the times of the sets that remember clients.
func (x *svcNFTables) readTimeouts() error {
	x.timeouts = map[string]uint32{}
	body := appendName([]byte{x.proto, unix.NFNETLINK_V0, 0, 0}, unix.NFTA_SET_TABLE, services.TableNFT)
	err := x.nf.dump(nftMsg(unix.NFT_MSG_GETSET), body, func(m nlMsg) error {
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
		if strings.HasPrefix(string(name), services.NFTPrefixAffinity) {
			x.timeouts[string(name)] = uint32(min(timeout/1000, 1<<31))
		}
		return nil
	})
	return noEntry(err)
}
